from __future__ import annotations

import time

import pytest

from refinement.pipeline import teacher_health
from refinement.pipeline.teacher_health import MOST_REFUSALS, PATIENCE, TeacherHealth


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def test_a_few_failures_are_chance(clock: Clock) -> None:
    health = TeacherHealth()
    for _ in range(PATIENCE - 1):
        health.failed()
    assert health.allowance(8, in_flight=3) == 8


def test_a_silent_teacher_is_left_alone_then_probed(clock: Clock) -> None:
    health = TeacherHealth()
    for _ in range(PATIENCE + 10):  # a whole round of questions fails together
        health.failed()
    assert health.on_hold
    assert health.allowance(8, in_flight=0) == 0
    clock.now += teacher_health.FIRST_HOLD_SECONDS
    assert health.allowance(8, in_flight=0) == 1
    assert health.allowance(8, in_flight=1) == 0


def test_the_holds_grow_to_a_minute(clock: Clock) -> None:
    health = TeacherHealth()
    lengths = []
    for _ in range(PATIENCE - 1):
        health.failed()
    for _ in range(6):
        health.failed()
        lengths.append(health.closed_until - clock.now)
        clock.now = health.closed_until
    assert lengths == [5, 10, 20, 40, 60, 60]


def test_one_answer_makes_it_well(clock: Clock) -> None:
    health = TeacherHealth()
    assert not health.is_well, "not asked yet"
    for _ in range(PATIENCE):
        health.failed()
    health.answered()
    assert health.is_well
    assert health.allowance(8, in_flight=0) == 8


def test_a_teacher_that_names_its_time_is_given_it(clock: Clock) -> None:
    health = TeacherHealth()
    health.failed(retry_after=300)
    assert health.closed_until == clock.now + 300


def test_refusals_count_in_a_row(clock: Clock) -> None:
    health = TeacherHealth()
    for _ in range(MOST_REFUSALS - 1):
        health.refused()
    health.answered()
    health.refused()
    assert not health.refuses_all
    for _ in range(MOST_REFUSALS - 1):
        health.refused()
    assert health.refuses_all
