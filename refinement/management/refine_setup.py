"""What ``manage.py refine`` works with: the project, dataset, models and run, found or made.

The same command finds the same rows again, which is how it goes on after it was killed.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

from django.core.files import File

from refinement.embedded.model import ensure_embedded_model
from refinement.method.specs import PolicySpec, Spec, StudentSpec, TeacherSpec
from refinement.method.teacher import check
from refinement.models import Dataset, Endpoint, Membership, Project, Run, Student, User
from refinement.services import runs, starting
from refinement.services.datasets import create_dataset, import_dataset
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from refinement.services.models_registry import (
    create_endpoint,
    create_student,
    embedded_student,
    embedded_teacher,
    teacher_spec,
)
from refinement.services.teacher_addresses import trust

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "Command line"
EMBEDDED, STUDENT = "embedded", "student"


def command_line_project() -> Project:
    """The project of all that is done by command; every admin is an owner, and sees it."""
    project = Project.objects.filter(name=PROJECT).order_by("pk").first()
    project = project or Project.objects.create(name=PROJECT)
    for user in User.objects.filter(is_staff=True, is_active=True):
        Membership.objects.get_or_create(
            project=project, user=user, defaults={"role": Membership.Role.OWNER}
        )
    return project


# -- Models ---------------------------------------------------------------------------------------
def find_teacher(*, url: str, model: str, **options: Any) -> Endpoint:
    """The endpoint of this address and model, and of the further values that are not None."""
    if url == EMBEDDED:
        ensure_embedded_model()
        return embedded_teacher()
    trust(url)
    chosen = {name: value for name, value in options.items() if value is not None}
    known = Endpoint.objects.filter(base_url=url.rstrip("/"), model=model, **chosen)
    return known.order_by("pk").first() or create_endpoint(
        name=_free_name(Endpoint, model), base_url=url, model=model, **chosen
    )


def find_student(*, path: str) -> Student:
    if path == EMBEDDED:
        ensure_embedded_model()
        return embedded_student()
    known = Student.objects.filter(path=path, revision="", embedded=False).order_by("pk")
    name = path.rstrip("/").rsplit("/", 1)[-1]
    return known.first() or create_student(name=_free_name(Student, name), path=path)


def _free_name(model: type[Endpoint | Student], wanted: str) -> str:
    """``wanted``, with a number where that name is taken."""
    wanted = wanted[:100] or "unnamed"
    taken = set(model.objects.filter(name__startswith=wanted).values_list("name", flat=True))
    numbered = (f"{wanted} ({number})" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(n for n in numbered if n not in taken)


def check_teacher(endpoint: Endpoint) -> None:
    """Raises a MethodError where the teacher does not answer, before a run begins with it."""
    asyncio.run(check(teacher_spec(endpoint)))


# -- Data -----------------------------------------------------------------------------------------
def find_dataset(*, project: Project, path: Path) -> Dataset:
    """The imported file, by its content. Raises ServiceError where it cannot be imported."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = Dataset.objects.filter(project=project, sha256=digest)
    dataset = known.exclude(status=Dataset.Status.FAILED).order_by("-pk").first()
    with delivered_to(lambda _, dataset_id: import_dataset(dataset_id=dataset_id)):
        if dataset is None:
            with path.open("rb") as file:
                dataset = create_dataset(
                    project=project, name="", upload=File(file), filename=path.name, user=None
                )
        # One that was killed in mid-import is begun again, once its lease has run out.
        while (dataset := Dataset.objects.get(pk=dataset.pk)).status not in {
            Dataset.Status.READY,
            Dataset.Status.FAILED,
        }:
            import_dataset(dataset_id=dataset.pk)
            time.sleep(0.1)
    if dataset.status == Dataset.Status.FAILED:
        raise ServiceError(f"{path}: {dataset.error}")
    return dataset


# -- Runs -----------------------------------------------------------------------------------------
def find_run(
    *,
    dataset: Dataset,
    teacher: Endpoint,
    student: Student,
    policy: PolicySpec,
    protocol: str,
    template: str,
    limit: int | None,
    budget: dict[str, Any],
) -> tuple[Run, bool]:
    """The run of this very work, and whether it was there before. A cancelled one is left alone.

    ``budget`` has the two bounds of ``start_run``; one that is given replaces that of an open run.
    """
    config = starting.run_config(
        teacher=teacher, student=student, policy=policy, protocol=protocol, template=template
    )
    samples = min(limit or dataset.sample_count, dataset.sample_count)
    earlier = Run.objects.filter(dataset=dataset, student=student)
    for run in earlier.exclude(status=Run.Status.CANCELLED).order_by("-pk"):
        if _same(run.config, config) and run.run_samples.count() == samples:
            _set_budget(run, budget)
            return run, True
    run = starting.start_run(
        project=dataset.project,
        dataset=dataset,
        teacher=teacher,
        student=student,
        policy=policy,
        user=None,
        protocol=protocol,
        template=template,
        limit=limit,
        **budget,
    )
    return run, False


def _set_budget(run: Run, budget: dict[str, Any]) -> None:
    now = {name: getattr(run, name) for name in budget}
    wanted = now | {name: value for name, value in budget.items() if value is not None}
    if wanted != now and run.status in {Run.Status.RUNNING, Run.Status.PAUSED}:
        runs.set_budget(run=run, tokens=wanted["budget_tokens"], cost=wanted["budget_cost"])


def _same(config: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs are of the same work. What one of them does not know has its default."""
    kinds: dict[str, type[Spec]] = {
        "teacher": TeacherSpec,
        "student": StudentSpec,
        "policy": PolicySpec,
    }
    return config["prompt_version"] == other["prompt_version"] and all(
        kind.from_dict(config[name]) == kind.from_dict(other[name]) for name, kind in kinds.items()
    )
