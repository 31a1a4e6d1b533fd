"""Which of several runs a student worker takes up: that of the loaded model, for a while."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from refinement.models import Candidate, Run, RunSample, Student
from refinement.pipeline import scoring
from refinement.pipeline.scoring import score

if TYPE_CHECKING:
    from tests.pipeline.world import World


def waiting_for_the_student(run: Run) -> Run:
    for row in RunSample.objects.filter(run=run):
        Candidate.objects.create(
            run_sample=row, kind="instruction", instruction="Say more of it.", response="More."
        )
    RunSample.objects.filter(run=run).update(stage="select_instruction", state="ready")
    return run


@pytest.fixture
def runs(world: World) -> tuple[Run, Run]:
    """One of the student that is loaded, one of another."""
    score(waiting_for_the_student(world.run(1)).pk, stopping=threading.Event())
    other = Student.objects.create(
        name="Other", path=world.student.path, dtype="float32", max_length=999
    )
    there = replace(world, student=other)
    return waiting_for_the_student(world.run(2)), waiting_for_the_student(there.run(2))


def scored(run: Run) -> int:
    return Run.objects.get(pk=run.pk).scored_pairs


def test_a_loaded_student_goes_on_while_it_has_work(
    runs: tuple[Run, Run], wakes: list[tuple[str, int]]
) -> None:
    same, other = runs
    wakes.clear()

    score(other.pk, stopping=threading.Event())
    assert (scored(same), scored(other)) == (4, 0)
    assert wakes[0] == ("refinement.score", other.pk), "it waits for another worker, or for later"

    score(other.pk, stopping=threading.Event())
    assert scored(other) == 4


def test_but_not_for_ever(runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    same, other = runs
    monkeypatch.setattr(scoring, "WARM_SECONDS", 0.0)

    score(other.pk, stopping=threading.Event())
    assert (scored(same), scored(other)) == (0, 4)
