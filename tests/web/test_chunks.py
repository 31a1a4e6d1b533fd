"""Uploads in chunks: what goes on where it stopped, and what is refused."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse
from django.utils import timezone

from refinement.models import Dataset, Upload
from refinement.services import chunks

if TYPE_CHECKING:
    from pathlib import Path

    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from tests.web.conftest import House

CONTENT = b'{"instruction": "Name a fruit.", "output": "A pear."}\n' * 40


@pytest.fixture
def files(tmp_path: Path, settings: SettingsWrapper) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def client(house: House, files: Path) -> Client:
    return house.visitor("owner")


def begin(client: Client, house: House, **changes: Any) -> Any:
    about = {"name": "../fruit.jsonl", "size": len(CONTENT), "modified": 1} | changes
    return client.post(reverse("upload-begin", args=[house.room.project.pk]), about)


def put(client: Client, url: str, offset: int, data: bytes) -> Any:
    return client.put(f"{url}?offset={offset}", data, content_type="application/octet-stream")


def test_a_file_arrives_in_chunks_and_becomes_a_draft(
    client: Client, house: House, files: Path
) -> None:
    place = begin(client, house).json()
    assert place["received"] == 0
    assert put(client, place["url"], 0, CONTENT[:1000]).json() == {"received": 1000}
    assert put(client, place["url"], 1000, CONTENT[1000:]).json() == {"received": len(CONTENT)}
    answer = client.post(place["url"], {"name": "  "}).json()
    dataset = Dataset.objects.latest("pk")
    assert answer == {"location": reverse("dataset", args=[dataset.pk])}
    assert (dataset.name, dataset.filename, dataset.status) == ("fruit", "fruit.jsonl", "draft")
    assert dataset.size_bytes == len(CONTENT)
    with dataset.file.open() as file:
        assert file.read() == CONTENT
    assert not Upload.objects.exists()
    assert [path for path in files.rglob("*") if path.is_file()] == [files / dataset.file.name]


def test_what_counts_is_on_the_disk(
    client: Client, house: House, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = begin(client, house).json()
    seen: list[tuple[int, int]] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        counted = Upload.objects.values_list("received_bytes", flat=True)
        seen.append((os.fstat(handle).st_size, *counted))
        fsync(handle)

    monkeypatch.setattr("os.fsync", watched)
    put(client, place["url"], 0, CONTENT[:1000])
    put(client, place["url"], 1000, CONTENT[1000:])
    assert seen == [(1000, 0), (len(CONTENT), 1000)]


def test_the_same_file_goes_on_where_it_stopped(client: Client, house: House) -> None:
    place = begin(client, house).json()
    put(client, place["url"], 0, CONTENT[:700])
    assert (
        "fruit.jsonl"
        in client.get(reverse("dataset-upload", args=[house.room.project.pk])).content.decode()
    )
    again = begin(client, house).json()
    assert (again["url"], again["received"]) == (place["url"], 700)
    assert begin(client, house, modified=2).json()["received"] == 0


@pytest.mark.parametrize("offset", ["0", "701", "-5", "x", "99999999999999999999"])
def test_a_chunk_in_the_wrong_place_is_told_the_right_one(
    client: Client, house: House, offset: str
) -> None:
    place = begin(client, house).json()
    put(client, place["url"], 0, CONTENT[:700])
    answer = put(client, place["url"], offset, CONTENT[:700])  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (409, {"received": 700})


def test_what_is_refused_is_said(
    client: Client, house: House, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert begin(client, house, size=0).json()["error"].startswith("The file is empty.")
    assert begin(client, house, size="x").status_code == 422
    place = begin(client, house).json()
    more = put(client, place["url"], 0, CONTENT + b"x")
    assert "More was sent than the file has" in more.json()["error"]
    early = client.post(place["url"])
    assert "not here whole" in early.json()["error"]
    monkeypatch.setattr(chunks, "_RESERVE", 10**18)
    assert "no room for this file" in begin(client, house, modified=3).json()["error"]
    settings.UPLOAD_LIMIT_BYTES = 100
    assert "larger than the 100" in begin(client, house).json()["error"]


def test_a_disk_that_fills_up_keeps_what_was_there(
    client: Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = begin(client, house).json()
    put(client, place["url"], 0, CONTENT[:700])

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(chunks, "_write", full)
        answer = put(client, place["url"], 700, CONTENT[700:])
    assert "disk is full" in answer.json()["error"]
    assert put(client, place["url"], 700, CONTENT[700:]).json() == {"received": len(CONTENT)}


def test_an_upload_is_its_senders_alone(client: Client, house: House) -> None:
    url = begin(client, house).json()["url"]
    for who in ("stranger", "reviewer", "staff"):
        assert put(house.visitor(who), url, 0, b"x").status_code == 404
        assert (
            begin(house.visitor(who), house).status_code
            == {
                "stranger": 404,
                "reviewer": 403,
                "staff": 404,
            }[who]
        )
    assert house.visitor("anonymous").delete(url).status_code in {302, 401, 403}
    assert client.delete(url).status_code == 204
    assert put(client, url, 0, b"x").status_code == 404


def test_what_nobody_goes_on_with_is_forgotten(client: Client, house: House, files: Path) -> None:
    begin(client, house)
    Upload.objects.update(updated_at=timezone.now() - chunks.KEPT_FOR - timedelta(hours=1))
    begin(client, house, name="other.jsonl")
    assert Upload.objects.get().filename == "other.jsonl"
    assert len(list(files.rglob("*.part"))) == 1
    client.post(reverse("upload-drop", args=[Upload.objects.get().pk]))
    assert not Upload.objects.exists()
    assert not list(files.rglob("*.part"))


def test_an_upload_whose_bytes_are_gone_begins_anew(
    client: Client, house: House, files: Path
) -> None:
    place = begin(client, house).json()
    put(client, place["url"], 0, CONTENT[:700])
    for path in files.rglob("*.part"):
        path.unlink()
    answer = put(client, place["url"], 700, CONTENT[700:])
    assert "This upload is gone" in answer.json()["error"]
    assert begin(client, house).json()["received"] == 0
