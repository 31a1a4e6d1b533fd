"""Trials: a teacher asked about a few samples before a run, to see its replies and their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.method.prompt_set import DEFAULT, PromptSet
from refinement.models import Trial
from refinement.services import audit
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.models_registry import teacher_spec
from refinement.services.starting import check_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.models import Dataset, Endpoint, Project, User

MOST_SAMPLES = 16
MEASURED_SAMPLES = 5  # for an estimate


def start_trial(
    *,
    project: Project,
    dataset: Dataset,
    teacher: Endpoint,
    positions: Sequence[int],
    user: User | None,
    protocol: str = "",
    prompts: PromptSet = DEFAULT,
) -> Trial:
    """Ask the teacher about the samples at ``positions`` of the dataset, as a run would.

    Raises ServiceError.
    """
    _check_pairs(project, dataset, positions)
    check_prompts(prompts)
    config = {
        "teacher": teacher_spec(teacher, protocol=protocol).as_dict(),
        "prompts": prompts.as_dict(),
        "prompt_version": prompts.version,
    }
    with transaction.atomic():
        trial = Trial.objects.create(
            project=project,
            dataset=dataset,
            teacher=teacher,
            config=config,
            positions=list(positions),
            created_by=user,
        )
        audit.record("teacher.tried", trial.project, teacher=teacher.name, pairs=len(positions))
        wake("refinement.try_teacher", trial.pk)
    return trial


def positions_to_measure(dataset: Dataset, limit: int | None = None) -> list[int]:
    """Spread evenly over the samples, so that a sorted dataset is measured fairly."""
    total = min(limit or dataset.sample_count, dataset.sample_count)
    count = min(MEASURED_SAMPLES, total)
    return [(2 * number + 1) * total // (2 * count) for number in range(count)]


def _check_pairs(project: Project, dataset: Dataset, positions: Sequence[int]) -> None:
    if dataset.project_id != project.pk:
        raise ServiceError(
            gettext("This dataset belongs to another project: choose one of this project.")
        )
    if not 1 <= len(positions) <= MOST_SAMPLES:
        raise ServiceError(
            gettext("A trial takes from 1 to %(most_samples)s pairs.")
            % {"most_samples": MOST_SAMPLES}
        )
    found = set(dataset.samples.filter(position__in=positions).values_list("position", flat=True))
    if missing := [position for position in positions if position not in found]:
        raise ServiceError(
            gettext("This dataset has no pair %(missing)s: choose a smaller number.")
            % {"missing": missing[0] + 1}
        )
