from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from refinement.method.errors import StudentError
from refinement.method.specs import StudentSpec
from refinement.pipeline.engines import StudentSeat

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spec(student_path: Path) -> StudentSpec:
    return StudentSpec(path=str(student_path), dtype="float32")


def test_a_student_is_loaded_once(spec: StudentSpec) -> None:
    seat = StudentSeat()
    with seat.occupied_by(spec) as first:
        pass
    with seat.occupied_by(replace(spec)) as second:
        assert second is first
    with seat.occupied_by(replace(spec, max_length=99)) as third:
        assert third is not first
        assert third.max_length == 99


def test_the_device_is_the_workers_own(spec: StudentSpec, settings: Any) -> None:
    settings.STUDENT_DEVICE = "no-such-device"
    with pytest.raises(StudentError, match="no-such-device"), StudentSeat().occupied_by(spec):
        pass


def test_a_student_that_cannot_be_loaded_leaves_the_seat_free(spec: StudentSpec) -> None:
    seat = StudentSeat()
    with (
        pytest.raises(StudentError, match="There is no student"),
        seat.occupied_by(replace(spec, path="/nowhere")),
    ):
        pass
    with seat.occupied_by(spec) as student:
        assert student.fingerprint


def test_one_thread_at_a_time_has_the_student(spec: StudentSpec) -> None:
    seat = StudentSeat()
    entered = threading.Event()

    def enter() -> None:
        with seat.occupied_by(spec):
            entered.set()

    with seat.occupied_by(spec):
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.1)
    thread.join()
    assert entered.is_set()
