"""Importing what lies on the server: who may, from where, and nothing from elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import datasets as hf_datasets
import pytest
from django.urls import reverse

from refinement.models import Dataset
from refinement.services.server_folder import entries

if TYPE_CHECKING:
    from pathlib import Path

    from django.http import HttpResponse
    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from tests.web.conftest import House

LINE = '{"instruction": "Name a colour.", "output": "Red."}\n'


@pytest.fixture
def folder(tmp_path: Path, settings: SettingsWrapper) -> Path:
    """The server's folder, with a secret beside it."""
    settings.MEDIA_ROOT = tmp_path / "files"
    folder = tmp_path / "import"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "pairs.jsonl").write_text(LINE * 2)
    (tmp_path / "secret.jsonl").write_text(LINE)
    settings.IMPORT_FOLDER = str(folder)
    return folder


@pytest.fixture
def admin(house: House) -> Client:
    """An owner of the project who is an admin."""
    house.room.owner.is_staff = True
    house.room.owner.save()
    return house.visitor("owner")


def place(house: House) -> str:
    return reverse("dataset-server-folder", args=[house.room.project.pk])


def take(client: Client, house: House, name: str, **fields: str) -> HttpResponse:
    fields = {"name": name, "token": str(uuid4())} | fields
    return client.post(place(house), fields, follow=True)


def test_only_an_admin_of_a_server_with_a_folder_sees_it(
    house: House, folder: Path, settings: SettingsWrapper
) -> None:
    upload = reverse("dataset-upload", args=[house.room.project.pk])
    assert house.visitor("owner").get(place(house)).status_code == 403
    assert place(house) not in house.visitor("owner").get(upload).content.decode()
    assert house.visitor("staff").get(place(house)).status_code == 404  # no member
    house.room.owner.is_staff = True
    house.room.owner.save()
    assert house.visitor("owner").get(place(house)).status_code == 200
    assert place(house) in house.visitor("owner").get(upload).content.decode()
    settings.IMPORT_FOLDER = ""
    assert house.visitor("owner").get(place(house)).status_code == 404
    assert take(house.visitor("owner"), house, "deep/pairs.jsonl").status_code == 404
    assert place(house) not in house.visitor("owner").get(upload).content.decode()


def test_a_file_becomes_a_draft_once(house: House, folder: Path, admin: Client) -> None:
    before = Dataset.objects.count()
    page = admin.get(place(house), {"within": "deep"}).content.decode()
    assert "pairs.jsonl" in page
    token = str(uuid4())
    for _ in range(2):
        answer = take(admin, house, "deep/pairs.jsonl", token=token)
        assert "How it is read" in answer.content.decode()
    assert Dataset.objects.count() == before + 1
    made = Dataset.objects.latest("pk")
    assert (made.status, made.filename, made.created_by) == (
        "draft",
        "pairs.jsonl",
        house.room.owner,
    )
    with made.file.open() as file:
        assert file.read().decode() == LINE * 2
    assert (folder / "deep" / "pairs.jsonl").exists()


def test_a_dataset_folder_becomes_a_draft(house: House, folder: Path, admin: Client) -> None:
    rows = [{"instruction": "Name a colour.", "output": "Red."}]
    hf_datasets.DatasetDict(
        train=hf_datasets.Dataset.from_list(rows * 3), test=hf_datasets.Dataset.from_list(rows)
    ).save_to_disk(str(folder / "colours"))
    answer = take(admin, house, "colours", split="test")
    assert "with 1 record" in answer.content.decode()
    assert Dataset.objects.latest("pk").filename == "colours"
    assert "no split “dev”" in take(admin, house, "colours", split="dev").content.decode()


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jsonl",
        "deep/../../secret.jsonl",
        "{outside}",
        "link.jsonl",
        "loop",
        "x\x00",
        "no",
    ],
)
def test_nothing_from_outside_comes_in(
    name: str, house: House, folder: Path, admin: Client
) -> None:
    (folder / "link.jsonl").symlink_to(folder.parent / "secret.jsonl")
    (folder / "loop").symlink_to("loop")
    before = Dataset.objects.count()
    name = name.format(outside=folder.parent / "secret.jsonl")
    answer = take(admin, house, name)
    assert "Name a colour" not in answer.content.decode()
    assert Dataset.objects.count() == before
    assert admin.get(place(house), {"within": name}).status_code == 404
    assert [entry.name for entry in entries()] == ["deep"]


def test_a_folder_that_leads_out_is_refused(house: House, folder: Path, admin: Client) -> None:
    (folder / "deep" / "more.jsonl").symlink_to(folder.parent / "secret.jsonl")
    assert "leads out of the server" in take(admin, house, "deep").content.decode()
    (folder / "dict").mkdir()
    (folder / "dict" / "dataset_dict.json").write_text('{"splits": ["../.."]}')
    said = take(admin, house, "dict", split="../..").content.decode()
    assert "names a file that is not in it" in said


def test_a_pipe_keeps_nobody_waiting(house: House, folder: Path, admin: Client) -> None:
    os.mkfifo(folder / "pipe.jsonl")
    assert "is no file" in take(admin, house, "pipe.jsonl").content.decode()
    assert [entry.name for entry in entries()] == ["deep"]


def test_links_within_the_folder_are_followed(house: House, folder: Path, admin: Client) -> None:
    """As in a hub's cache, where names are links to blobs."""
    (folder / "snapshot").mkdir()
    (folder / "snapshot" / "train.jsonl").symlink_to("../deep/pairs.jsonl")
    assert "How it is read" in take(admin, house, "snapshot").content.decode()
