"""What ``manage.py demo`` works with: a login, a project, the bundled pairs and a run over them.

All of it is found again by the next ``make demo``, which so goes on where the last one stopped.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

from django.core.files import File

from refinement.method.specs import PolicySpec
from refinement.models import Dataset, Project, Run, User
from refinement.services.datasets import create_dataset
from refinement.services.models_registry import embedded_student, embedded_teacher
from refinement.services.projects import create_project
from refinement.services.runs import resume_run
from refinement.services.starting import run_config, start_run

PAIRS = Path(__file__).resolve().parents[1] / "demo" / "pairs.jsonl"
USERNAME = "demo"
PROJECT = "Demo"
POLICY = PolicySpec()


def demo_user() -> tuple[User, bool]:
    """The one who looks at the demonstration, and whether they are new. May register models."""
    return User.objects.get_or_create(username=USERNAME, defaults={"is_staff": True})


def set_one_time_password(user: User) -> str:
    """A new random password, which nobody can read again later."""
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password


def demo_project(user: User) -> Project:
    known = Project.objects.filter(name=PROJECT, memberships__user=user).order_by("pk").first()
    return known or create_project(name=PROJECT, owner=user)


def demo_dataset(project: Project, user: User) -> Dataset:
    """The bundled pairs, uploaded once. A worker imports them. Raises ServiceError."""
    digest = hashlib.sha256(PAIRS.read_bytes()).hexdigest()
    known = Dataset.objects.filter(project=project, sha256=digest).order_by("-pk")
    dataset = known.exclude(status=Dataset.Status.FAILED).first()
    if dataset is not None:
        return dataset
    with PAIRS.open("rb") as file:
        return create_dataset(
            project=project, name="Bundled pairs", upload=File(file), filename=PAIRS.name, user=user
        )


def demo_run(dataset: Dataset, user: User, limit: int | None) -> Run:
    """The run over the first ``limit`` pairs: the unfinished one, else a new one.

    Raises ServiceError.
    """
    config = run_config(teacher=embedded_teacher(), student=embedded_student(), policy=POLICY)
    unfinished = [Run.Status.RUNNING, Run.Status.PAUSED]
    for run in Run.objects.filter(dataset=dataset, status__in=unfinished).order_by("-pk"):
        if run.config == config and _is_so_long(run, limit):
            if run.status == Run.Status.PAUSED:
                resume_run(run=run)
            return run
    return start_run(
        project=dataset.project,
        dataset=dataset,
        teacher=embedded_teacher(),
        student=embedded_student(),
        policy=POLICY,
        user=user,
        name="Demonstration",
        limit=limit,
    )


def finished_run(dataset: Dataset, limit: int | None) -> Run | None:
    """An earlier run that did the same work. Where its teacher listened does not matter."""
    config = run_config(teacher=embedded_teacher(), student=embedded_student(), policy=POLICY)
    complete = Run.objects.filter(dataset=dataset, status=Run.Status.COMPLETE).order_by("-pk")
    same = (run for run in complete if _same_work(run.config, config))
    return next((run for run in same if _is_so_long(run, limit)), None)


def _is_so_long(run: Run, limit: int | None) -> bool:
    samples = run.dataset.sample_count
    return run.run_samples.count() == min(limit or samples, samples)


def _same_work(one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = (
        config | {"teacher": config.get("teacher", {}) | {"base_url": ""}}
        for config in (one, other)
    )
    return first == second
