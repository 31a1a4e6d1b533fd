from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.method.pairs import Pair
from refinement.method.specs import PolicySpec, same_model
from refinement.models import Dataset, Run, RunSample, Sample
from refinement.selectors.lineage import later_rounds, lineage
from refinement.selectors.selection import effective_pairs
from refinement.services import decisions
from refinement.services.errors import ServiceError
from refinement.services.rounds import take_selection
from refinement.services.self_improvement import teacher_that_is
from refinement.services.starting import start_run
from tests.pipeline.world import make_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.world import World


@pytest.fixture
def world(db: None, student_path: Path, wakes: object) -> World:
    return make_world(student_path=student_path)


def keep(run: Run, world: World, *positions: int) -> None:
    """Let a person keep these originals."""
    for row in RunSample.objects.filter(run=run, position__in=positions):
        decisions.record_decision(run_sample=row, user=world.user, action="original")


def next_run(world: World, dataset: Dataset, limit: int | None = None) -> Run:
    return start_run(
        project=world.project,
        dataset=dataset,
        teacher=world.endpoint,
        student=world.student,
        policy=PolicySpec(),
        user=world.user,
        limit=limit,
    )


def test_a_round_begins_with_what_people_and_student_selected(world: World) -> None:
    run = world.run(5)
    Sample.objects.filter(dataset=run.dataset, position=3).update(
        extra={"id": "x3"}, context=[{"role": "system", "content": "Be brief."}]
    )
    keep(run, world, 1, 3)
    dataset = take_selection(run=run, user=world.user)
    assert (dataset.status, dataset.sample_count) == (Dataset.Status.READY, 2)
    assert dataset.source_run == run
    taken = [sample.as_pair() for sample in dataset.samples.all()]
    assert taken == [selected.pair for selected in effective_pairs(run)]
    last = dataset.samples.get(position=1)
    assert (last.line, last.extra, last.context[0]["content"]) == (4, {"id": "x3"}, "Be brief.")

    second = next_run(world, dataset)
    assert second.run_samples.count() == 2
    assert [(member.number, member.run) for member in lineage(second)] == [(1, run), (2, second)]
    assert later_rounds(run) == [second]
    assert [member.number for member in lineage(run)] == [1]
    assert [member.pairs for member in lineage(second)] == [5, 2]
    first_alone = next_run(world, dataset, limit=1)
    assert [member.pairs for member in lineage(first_alone)] == [5, 1]


def test_an_edited_text_is_what_the_next_round_begins_with(world: World) -> None:
    run = world.run(2)
    row = RunSample.objects.get(run=run, position=0)
    decisions.record_decision(
        run_sample=row,
        user=world.user,
        action="edit",
        edit=Pair("A better question?", "A better answer."),
    )
    dataset = take_selection(run=run, user=world.user)
    assert [s.instruction for s in dataset.samples.all()] == ["A better question?"]


def test_the_same_selection_is_the_same_dataset(world: World) -> None:
    run = world.run(3)
    keep(run, world, 0)
    first = take_selection(run=run, user=world.user)
    assert take_selection(run=run, user=world.user) == first
    keep(run, world, 2)
    assert take_selection(run=run, user=world.user) != first
    assert Dataset.objects.filter(source_run=run).count() == 2


def test_a_run_that_keeps_nothing_has_no_next_round(world: World) -> None:
    run = world.run(2)
    with pytest.raises(ServiceError, match="keeps no pair yet"):
        take_selection(run=run, user=world.user)
    assert Dataset.objects.filter(source_run=run).count() == 0


@pytest.mark.parametrize(
    ("teacher", "student", "same"),
    [
        ("/models/mine", "/models/mine", True),
        ("mine", "/models/mine/", True),
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B", True),
        ("Qwen/Qwen2.5-7B", "Other/Qwen2.5-7B", False),
        ("gpt-none", "/models/mine", False),
    ],
)
def test_whether_a_teacher_is_the_student(teacher: str, student: str, same: bool) -> None:
    assert same_model(teacher, student) == same


def test_the_teacher_that_serves_a_student_is_found(world: World) -> None:
    with pytest.raises(ServiceError, match="No registered teacher serves the model of “Tiny”"):
        teacher_that_is(world.student)
    world.endpoint.model = world.student.path.rsplit("/", 1)[-1]
    world.endpoint.save()
    assert teacher_that_is(world.student) == world.endpoint
