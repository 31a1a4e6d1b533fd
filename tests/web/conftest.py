"""A project with something in every place, and a client for each kind of visitor."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from refinement.models import Dataset, Export, Membership, RejectedRow, Student, User, Worker
from tests.kept_rows import rows_kept
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django.plugin import DjangoDbBlocker

WHO = ("anonymous", "stranger", "viewer", "reviewer", "owner", "staff")
PASSWORD = "a long enough pass phrase"


@dataclass
class House:
    """``room`` is the project; ``visitor`` makes a client for one of ``WHO``."""

    room: Room
    export: Export
    stranger: User
    staff: User

    def user(self, who: str) -> User:
        people = {
            "stranger": self.stranger,
            "staff": self.staff,
            "viewer": self.room.viewer,
            "reviewer": self.room.reviewer,
            "owner": self.room.owner,
        }
        return people[who]

    def visitor(self, who: str, **headers: str) -> Client:
        client = Client(headers=headers)
        if who != "anonymous":
            client.force_login(self.user(who))
        return client

    @property
    def dataset(self) -> Dataset:
        return self.room.run.dataset

    def membership(self, who: str) -> Membership:
        return Membership.objects.get(project=self.room.project, user=self.user(who))

    def refuse(self, count: int, *, excerpt: str = "{") -> None:
        """Rejected rows of the dataset."""
        RejectedRow.objects.bulk_create(
            RejectedRow(
                dataset=self.dataset,
                line=number,
                field="output",
                reason=f"the field is missing ({number})",
                excerpt=excerpt,
            )
            for number in range(1, count + 1)
        )
        self.dataset.rejected_count = count
        self.dataset.save()


@pytest.fixture
def house(db: None) -> House:
    return make_house()


@pytest.fixture(scope="module")
def kept_house(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[House]:
    with rows_kept(django_db_blocker):
        yield make_house()


@pytest.fixture
def copied_house(db: None, kept_house: House) -> House:
    """``house``, made once for all tests of a module. Each has objects of its own."""
    return copy.deepcopy(kept_house)


def make_house() -> House:
    room = make_room()
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    room.add(state="failed", error="The teacher declined to answer.")
    room.run.dataset.sample_count = 2
    room.run.dataset.format = "alpaca"
    room.run.dataset.save()
    digest = hashlib.sha256(b"{}\n").hexdigest()
    export = Export.objects.create(
        run=room.run,
        options={"include": "kept"},
        status=Export.Status.READY,
        row_count=1,
        sha256=digest,
        manifest={"files": [{"name": "train.jsonl", "rows": 1, "sha256": digest}]},
        created_by=room.owner,
    )
    export.file.save(f"export-{export.pk}-{uuid4().hex}/train.jsonl", ContentFile(b"{}\n"))
    return House(
        room=room,
        export=export,
        stranger=make_room("Elsewhere").owner,
        staff=User.objects.create_user("staff", password=PASSWORD, is_staff=True),
    )


@pytest.fixture
def student_folder(tmp_path: Path) -> Path:
    """What a student looks like from outside: the files, without weights that could be loaded."""
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"\0" * 64)
    return folder


@pytest.fixture
def student(house: House, student_folder: Path) -> Student:
    return Student.objects.create(name="On disk", path=str(student_folder))


def alive(*queues: str) -> Worker:
    """A worker that has just said it lives."""
    return Worker.objects.create(name="host:1", queues=list(queues), seen_at=timezone.now())
