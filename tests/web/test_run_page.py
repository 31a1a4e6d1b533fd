"""A run in words and pictures."""

from __future__ import annotations

from decimal import Decimal

import pytest

from refinement.models import RunSample
from refinement.selectors.outcomes import RunOutcomes
from refinement.selectors.runs import RunProgress
from refinement.web.run_page import REASONS, missing_workers, reason_words, segments, steps


def progress(counts: dict[str, dict[str, int]], *, alive: tuple[str, ...] = ()) -> RunProgress:
    full = {stage: counts.get(stage, {}) for stage in RunSample.Stage.values}
    states = [(s, n) for by_state in full.values() for s, n in by_state.items()]
    return RunProgress(
        status="running",
        notice="",
        counts=full,
        total=sum(n for _, n in states),
        done=sum(n for s, n in states if s == "done"),
        failed=sum(n for s, n in states if s == "failed"),
        reviewable=0,
        scored_pairs=0,
        teacher_calls=0,
        prompt_tokens=0,
        completion_tokens=0,
        cost=Decimal(0),
        forward_tokens=0,
        tokens_per_second=0.0,
        pairs_per_second=0.0,
        eta_seconds=None,
        failures={},
        workers_alive=frozenset(alive),
    )


MIDDLE = {
    "reflect_instruction": {"ready": 5, "leased": 3, "failed": 2},
    "select_instruction": {"leased": 1},
    "reflect_response": {"ready": 4},
    "done": {"done": 7},
}


def test_each_step_tells_what_is_there_and_what_went_on() -> None:
    found = [(s.waiting, s.working, s.failed, s.passed) for s in steps(progress(MIDDLE))]
    assert found == [(5, 3, 2, 12), (0, 1, 0, 11), (4, 0, 0, 7), (0, 0, 0, 7)]


def test_a_step_is_over_when_nothing_can_come_any_more() -> None:
    failed = {"reflect_instruction": {"failed": 1}, "reflect_response": {"failed": 2}}
    ended = {**failed, "done": {"done": 8}}
    assert [step.is_over for step in steps(progress(ended))] == [True, True, True, True]
    judged_last = {**failed, "select_response": {"leased": 1}, "done": {"done": 7}}
    assert [step.is_over for step in steps(progress(judged_last))] == [True, True, True, False]
    assert not any(step.is_over for step in steps(progress({})))


def test_the_bar_has_a_place_for_every_pair() -> None:
    outcomes = RunOutcomes(10, 2, 7, 5, 7, 4, 0, None, None)
    found = segments(progress(MIDDLE), outcomes)
    assert [(part.kind, part.count) for part in found] == [
        ("kept", 4),
        ("dropped", 3),
        ("failed", 2),
        ("working", 4),
        ("waiting", 9),
    ]
    assert [part.start for part in found] == [0, 4, 7, 9, 13]


@pytest.mark.parametrize(
    ("counts", "alive", "missing"),
    [
        (MIDDLE, (), ["teacher", "student"]),
        (MIDDLE, ("teacher",), ["student"]),
        (MIDDLE, ("teacher", "student"), []),
        ({"reflect_instruction": {"ready": 1}}, (), ["teacher"]),
        ({"reflect_instruction": {"failed": 1}, "done": {"done": 1}}, (), []),
    ],
)
def test_only_a_worker_that_is_needed_is_missed(
    counts: dict[str, dict[str, int]], alive: tuple[str, ...], missing: list[str]
) -> None:
    assert missing_workers(progress(counts, alive=alive)) == missing


def test_every_reason_has_words() -> None:
    assert reason_words("truncated") == REASONS["truncated"]
    assert reason_words("brand_new") == ("Brand new", "Retry.")
    assert reason_words("")[0] == "Unknown"
