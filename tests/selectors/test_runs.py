from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from refinement.models import Candidate, Run, RunSample, Score, TeacherCall, Verdict, Worker
from refinement.selectors.runs import failed_samples, run_progress, run_summary
from tests.pipeline.world import World, make_world
from tests.plans import plan_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(db: None, student_path: Path, wakes: object) -> World:
    return make_world(student_path=student_path)


def put(run: Run, position: int, stage: str, state: str, **fields: Any) -> None:
    RunSample.objects.filter(run=run, position=position).update(
        stage=stage,
        state=state,
        lease_token="held" if state == "leased" else "",
        lease_expires_at=timezone.now() if state == "leased" else None,
        **fields,
    )


def call(run: Run, position: int, step: str, *, seconds_ago: float = 0) -> TeacherCall:
    made = TeacherCall.objects.create(
        run_sample=run.run_samples.get(position=position),
        step=step,
        request_hash=step,
        model="m",
        completion_tokens=100,
        latency_seconds=2.0,
    )
    TeacherCall.objects.filter(pk=made.pk).update(
        created_at=timezone.now() - timedelta(seconds=seconds_ago)
    )
    return made


def score(run: Run, position: int, *, seconds_ago: float = 0, status: str = "scored") -> Score:
    made = Score.objects.create(
        run_sample=run.run_samples.get(position=position),
        status=status,
        template="vicuna",
        student_fingerprint="f",
    )
    Score.objects.filter(pk=made.pk).update(
        created_at=timezone.now() - timedelta(seconds=seconds_ago)
    )
    return made


@pytest.fixture
def run(world: World) -> Run:
    """Five samples in different places, begun ten minutes ago."""
    run = world.run(5)
    put(run, 0, "done", "done")
    put(run, 1, "reflect_response", "failed", error_reason="empty", error="Nothing came.")
    put(run, 2, "reflect_response", "leased")
    put(run, 3, "select_instruction", "ready")
    Run.objects.filter(pk=run.pk).update(
        created_at=timezone.now() - timedelta(minutes=10),
        teacher_calls=11,
        prompt_tokens=2000,
        completion_tokens=1100,
        cost="0.5",
        scored_pairs=7,
    )
    run.refresh_from_db()
    return run


def test_where_the_samples_are(run: Run) -> None:
    progress = run_progress(run)
    assert progress.counts == {
        "reflect_instruction": {"ready": 1},
        "select_instruction": {"ready": 1},
        "reflect_response": {"failed": 1, "leased": 1},
        "select_response": {},
        "done": {"done": 1},
    }
    assert (progress.total, progress.done, progress.failed, progress.in_work) == (5, 1, 1, 1)
    assert progress.reviewable == 1
    assert progress.failures == {"empty": 1}
    assert (progress.scored_pairs, progress.teacher_calls) == (7, 11)
    assert (progress.prompt_tokens, progress.completion_tokens) == (2000, 1100)
    assert float(progress.cost) == 0.5


def test_rates_are_those_of_the_last_minute(run: Run) -> None:
    call(run, 0, "a")
    call(run, 0, "b", seconds_ago=30)
    call(run, 0, "c", seconds_ago=90)
    score(run, 0, seconds_ago=59)
    score(run, 1, seconds_ago=61)
    progress = run_progress(run)
    assert progress.tokens_per_second == pytest.approx(200 / 60)
    assert progress.pairs_per_second == pytest.approx(1 / 60)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL knows its tables' sizes")
def test_rates_are_read_from_the_latest_rows_without_statistics(run: Run) -> None:
    """As every page of a run asks for them each second, nothing may read all of its samples."""
    with CaptureQueriesContext(connection) as asked:
        run_progress(run)
    paces = [query["sql"] for query in asked if "LIMIT 5000" in query["sql"]]
    assert len(paces) == 2
    for sql in paces:
        plan = plan_of(sql)
        assert "(run_id=?)" not in plan, plan


def test_a_rate_is_taken_from_so_many_rows_at_most(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refinement.selectors.runs.MOST_ROWS", 2)
    for name, seconds_ago in (("a", 0), ("b", 10), ("c", 20)):
        call(run, 0, name, seconds_ago=seconds_ago)
    assert run_progress(run).tokens_per_second == pytest.approx(200 / 10, rel=0.1)


def test_a_young_run_is_not_measured_over_a_whole_minute(world: World) -> None:
    run = world.run(1)
    call(run, 0, "a")
    assert run_progress(run).tokens_per_second > 100 / 30


def test_other_runs_do_not_count(world: World, run: Run) -> None:
    other = world.run(1)
    call(other, 0, "a")
    score(other, 0)
    progress = run_progress(run)
    assert (progress.tokens_per_second, progress.pairs_per_second) == (0, 0)


def test_the_time_left_follows_from_the_teachers_pace(run: Run) -> None:
    """Gone: 2 stages of the first sample, 1 of the third, 1 of the fourth. Left: 4."""
    assert run_progress(run).eta_seconds is None, "the teacher stands still"
    for step in ("a", "b", "c"):
        call(run, 0, step)
    calls_a_stage, calls_a_second = 11 / 4, 3 / 60
    assert run_progress(run).eta_seconds == pytest.approx(4 * calls_a_stage / calls_a_second)
    Run.objects.filter(pk=run.pk).update(status="paused")
    run.refresh_from_db()
    assert run_progress(run).eta_seconds is None


def test_the_queues_that_have_a_worker(run: Run) -> None:
    Worker.objects.create(name="a", queues=["teacher", "default"], seen_at=timezone.now())
    Worker.objects.create(
        name="b", queues=["student"], seen_at=timezone.now() - timedelta(minutes=5)
    )
    assert run_progress(run).workers_alive == {"teacher", "default"}


def test_a_look_takes_few_queries_for_any_size(
    run: Run, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):
        run_progress(run)


def test_what_failed_and_why(run: Run) -> None:
    [row] = failed_samples(run)
    assert (row.position, row.error) == (1, "Nothing came.")
    assert row.sample.instruction


def test_the_summary(run: Run) -> None:
    row = run.run_samples.get(position=0)
    candidate = Candidate.objects.create(
        run_sample=row, kind="response", instruction="i", response="r"
    )
    Verdict.objects.create(
        run_sample=row,
        instruction_winner="original",
        response_winner="candidate",
        kept=True,
        chosen=candidate,
    )
    call(run, 0, "criticise_instruction", seconds_ago=100)
    call(run, 0, "answer_instruction", seconds_ago=70)
    call(run, 0, "rewrite_response", seconds_ago=60)
    score(run, 0, seconds_ago=65)
    score(run, 1, seconds_ago=50, status="unscorable")
    Score.objects.filter(run_sample=row).update(candidate=candidate)
    summary = run_summary(run)
    assert (summary.total, summary.done, summary.failed) == (5, 1, 1)
    assert (summary.accepted_instructions, summary.accepted_responses, summary.kept) == (0, 1, 1)
    assert (summary.unscorable, summary.teacher_calls) == (1, 11)
    assert summary.stage_seconds == {
        "reflect_instruction": pytest.approx(32, abs=0.1),
        "select_instruction": 0.0,
        "reflect_response": pytest.approx(2, abs=0.1),
        "select_response": 0.0,
    }


def test_a_run_that_went_on_after_a_night_was_not_at_work_all_night(run: Run) -> None:
    for position, seconds in enumerate((50_000, 49_970, 40, 0)):
        call(run, position, "answer_instruction", seconds_ago=seconds)
    assert run_summary(run).stage_seconds["reflect_instruction"] == pytest.approx(72, abs=0.1)
