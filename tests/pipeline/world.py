"""A project with a dataset and models, and runs over it, made as the product makes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.method.specs import PolicySpec
from refinement.models import Dataset, Endpoint, Project, Run, RunSample, Sample, Student, User
from refinement.services.projects import create_project
from refinement.services.starting import start_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOPICS = ("tides", "bread", "maps", "bees", "glass", "rivers", "clocks", "salt")


@dataclass
class World:
    user: User
    project: Project
    endpoint: Endpoint
    student: Student

    def dataset(self, instructions: Sequence[str]) -> Dataset:
        dataset = Dataset.objects.create(
            project=self.project,
            name="Questions",
            filename="questions.jsonl",
            status=Dataset.Status.READY,
            sample_count=len(instructions),
        )
        Sample.objects.bulk_create(
            Sample(
                dataset=dataset,
                position=position,
                line=position + 1,
                instruction=instruction,
                response=f"{TOPICS[position % len(TOPICS)].title()} are worth a closer look.",
                content_hash=hashlib.sha256(f"{position}{instruction}".encode()).hexdigest(),
            )
            for position, instruction in enumerate(instructions)
        )
        return dataset

    def run(self, samples: int | Sequence[str] = 4, **options: Any) -> Run:
        """A new run, over so many ordinary samples or over these instructions."""
        texts = questions(samples) if isinstance(samples, int) else samples
        return start_run(
            project=self.project,
            dataset=self.dataset(texts),
            teacher=self.endpoint,
            student=self.student,
            policy=PolicySpec(),
            user=self.user,
            **options,
        )


def questions(count: int) -> list[str]:
    return [f"Question {n}: what is known about {TOPICS[n % len(TOPICS)]}?" for n in range(count)]


def make_world(
    *, student_path: Path, base_url: str = "http://127.0.0.1:9/v1", **endpoint: Any
) -> World:
    """By default the teacher is a port where nothing answers."""
    user = User.objects.create_user("owner", password="a long enough pass phrase")
    return World(
        user=user,
        project=create_project(name="Pipeline", owner=user),
        endpoint=Endpoint.objects.create(
            **{
                "name": "Fake teacher",
                "base_url": base_url,
                "model": "fake-teacher",
                "protocol": "staged",
                "max_concurrency": 4,
                "price_prompt": 1,
                "price_completion": 2,
            }
            | endpoint
        ),
        student=Student.objects.create(name="Tiny", path=str(student_path), dtype="float32"),
    )


def standings(run: Run) -> list[tuple[str, str]]:
    """Stage and state of each sample, in order."""
    return list(
        RunSample.objects.filter(run=run).order_by("position").values_list("stage", "state")
    )
