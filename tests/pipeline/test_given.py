"""Data that was reflected elsewhere: scored, judged and reviewed without a teacher."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.base import ContentFile

from refinement.method.specs import PolicySpec
from refinement.models import Candidate, Run, RunSample, Verdict
from refinement.pipeline.scoring import score
from refinement.services.datasets import create_dataset, import_dataset, start_import
from refinement.services.errors import ServiceError
from refinement.services.models_registry import given_teacher
from refinement.services.starting import start_run

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from refinement.models import Dataset
    from tests.pipeline.world import World

MAPPING = {
    "reflected_instruction": "new_instruction",
    "reflected_output": "new_output",
    "improved_output": "best_output",
    "response_criticism": "why",
}
PAIR = {"instruction": "Tell me of bread.", "output": "Bread is baked."}
REWRITTEN = {"new_instruction": "How does bread rise?", "new_output": "By yeast."}
RECORDS: list[dict[str, Any]] = [
    PAIR,
    {**PAIR, **REWRITTEN},
    {**PAIR, "new_output": "Bread is baked from dough that rose.", "why": "Too short."},
    {**PAIR, **REWRITTEN, "best_output": "Yeast eats sugar and breathes out gas."},
]


@pytest.fixture
def brought(world: World, tmp_path: Path, settings: SettingsWrapper) -> Dataset:
    settings.MEDIA_ROOT = tmp_path
    content = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
    dataset = create_dataset(
        project=world.project,
        name="",
        upload=ContentFile(content),
        filename="reflected.jsonl",
        user=world.user,
        draft=True,
    )
    start_import(dataset=dataset, format="alpaca", mapping=MAPPING)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.sample_count) == ("ready", 4), dataset.error
    return dataset


def start(world: World, dataset: Dataset, **options: Any) -> Run:
    chosen = {"teacher": given_teacher(), "policy": PolicySpec()} | options
    return start_run(
        project=world.project, dataset=dataset, student=world.student, user=None, **chosen
    )


def test_rewrites_of_the_data_are_candidates_from_the_beginning(
    world: World, brought: Dataset
) -> None:
    run = start(world, brought)
    rows = run.run_samples.order_by("position")
    assert [(row.position, row.stage) for row in rows] == [
        (1, "select_instruction"),
        (2, "select_response"),
        (3, "select_instruction"),
    ]
    made = Candidate.objects.filter(run_sample__run=run).order_by("run_sample__position", "id")
    assert [(c.run_sample.position, c.kind, c.response, c.criticism) for c in made] == [
        (1, "instruction", "By yeast.", ""),
        (2, "response", "Bread is baked from dough that rose.", "Too short."),
        (3, "instruction", "By yeast.", ""),
        (3, "response", "Yeast eats sugar and breathes out gas.", ""),
    ]
    assert made[3].parent == made[2]
    assert made[1].parent is None


def test_the_student_judges_them_and_nobody_is_asked(world: World, brought: Dataset) -> None:
    run = start(world, brought)
    score(run.pk, stopping=threading.Event())
    run.refresh_from_db()
    assert (run.status, run.teacher_calls) == ("complete", 0)
    assert set(run.run_samples.values_list("stage", "state")) == {("done", "done")}
    verdicts = list(Verdict.objects.filter(run_sample__run=run).order_by("run_sample__position"))
    assert len(verdicts) == 3
    for verdict in verdicts:
        assert verdict.instruction_sentence
        assert verdict.response_sentence
        assert verdict.kept is not None
    assert verdicts[0].response_winner == "original"
    assert verdicts[1].instruction_winner == "original"


def test_a_teacher_does_only_what_the_data_did_not_bring(world: World, brought: Dataset) -> None:
    run = start(world, brought, teacher=world.endpoint)
    score(run.pk, stopping=threading.Event())
    stages = dict(run.run_samples.values_list("position", "stage"))
    assert stages == {
        0: "reflect_instruction",
        1: "reflect_response",
        2: "done",
        3: "done",
    }


def test_without_rewrites_a_teacher_is_needed(world: World) -> None:
    before = Run.objects.count()
    with pytest.raises(ServiceError, match="brought no rewrites"):
        start(world, world.dataset(["What is bread?"]))
    assert Run.objects.count() == before
    assert not RunSample.objects.exists()
