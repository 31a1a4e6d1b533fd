"""Exports of programs: counted, written with all options, fetched file by file, shared, pushed."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from refinement.models import Export, Push
from refinement.services.dispatch import delivered_to
from refinement.services.exports import write_export
from tests.api.conftest import Caller, caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from tests.web.conftest import House

pytestmark = pytest.mark.django_db(transaction=True)  # an export reads its own snapshot


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: SettingsWrapper) -> Iterator[None]:
    settings.MEDIA_ROOT = tmp_path
    with delivered_to(lambda *_: None):
        yield


@pytest.fixture
def owner(house: House) -> Caller:
    return caller(house.room.owner)


@pytest.fixture
def place(house: House) -> str:
    house.room.fill(8)
    return f"/runs/{house.room.run.pk}"


def written(owner: Caller, place: str, body: dict[str, Any]) -> dict[str, Any]:
    """The export once a worker has written it."""
    made = owner("post", place + "/exports", body)
    assert made.status_code == 201, made.content
    write_export(export_id=made.json()["id"])
    return dict(owner("get", f"/exports/{made.json()['id']}").json())


def body_of(answer: Any) -> bytes:
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def test_what_is_counted_is_what_leaves(owner: Caller, place: str) -> None:
    asked: dict[str, Any] = {
        "filter": {"show": "kept", "q": "question"},
        "validation_percent": 50,
        "shape": "messages",
        "columns": ["scores"],
        "seed": 3,
    }
    said = asked | {"filter": json.dumps(asked["filter"])}
    counted = owner("get", place + "/exports/preview", said).json()
    assert (counted["rows"], counted["exact"]) == (8, True)
    export = written(owner, place, asked)
    assert export["options"]["filter"] == {"show": "kept", "q": "question"}
    assert (export["status"], export["row_count"]) == ("ready", 8)
    listed = owner("get", f"/exports/{export['id']}/files").json()["items"]
    names = [file["name"] for file in listed]
    assert names[:2] == ["train.jsonl", "validation.jsonl"]
    data = body_of(owner("get", f"/exports/{export['id']}/files/validation.jsonl"))
    rows = [json.loads(line) for line in data.splitlines()]
    assert len(rows) == counted["validation"]
    assert {"messages", "srt"} <= set(rows[0])
    archive = zipfile.ZipFile(io.BytesIO(body_of(owner("get", f"/exports/{export['id']}/all.zip"))))
    assert {name.rpartition("/")[2] for name in archive.namelist()} == set(names)
    assert owner("get", f"/exports/{export['id']}/files/nothing").status_code == 404


def test_under_another_policy_and_only_the_best(owner: Caller, place: str) -> None:
    policy = {"max_ifd": 0.8}
    kept = owner("get", place + "/selection").json()
    assert (kept["total"], kept["kept"], kept["failed"]) == (10, 9, 1)
    strict = owner("get", place + "/exports/preview", {"policy": json.dumps(policy)}).json()
    assert strict["rows"] == 1
    export = written(owner, place, {"policy": policy})
    assert (export["row_count"], export["options"]["policy"]["max_ifd"]) == (1, 0.8)
    best = written(owner, place, {"top_percent": 50, "top_by": "r_ifd", "deduplicate": True})
    assert best["row_count"] == 5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"shape": "xml"}, "a shape"),
        ({"top_percent": 120}, "best part"),
        ({"filter": {"shw": "kept"}}, "do not fit"),
        ({"policy": {"name": "best"}}, "best"),
        ({"columns": ["loss"]}, "do not fit"),
    ],
)
def test_what_makes_no_sense_is_refused(
    owner: Caller, place: str, body: dict[str, Any], words: str
) -> None:
    refused = owner("post", place + "/exports", body)
    assert (refused.status_code, words in refused.json()["detail"]) == (422, True)
    said = {name: json.dumps(v) if isinstance(v, dict) else v for name, v in body.items()}
    assert owner("get", place + "/exports/preview", said).status_code == 422


def test_a_dataset_leaves_as_it_was_imported(house: House, owner: Caller, place: str) -> None:
    dataset = f"/datasets/{house.dataset.pk}"
    assert owner("get", dataset + "/exports/preview").json()["rows"] == 10
    export = written(owner, dataset, {"shape": "prompt_completion"})
    assert (export["run"], export["dataset"], export["row_count"]) == (None, house.dataset.pk, 10)
    assert owner("post", dataset + "/exports", {"filter": {"show": "kept"}}).status_code == 422


def test_an_export_is_cancelled_and_deleted(owner: Caller, place: str) -> None:
    made = f"/exports/{owner('post', place + '/exports', {}).json()['id']}"
    assert owner("post", made + "/cancel").json()["status"] == "cancelled"
    assert "cancelled" in owner("get", made + "/file").json()["detail"]
    assert owner("post", made + "/cancel").status_code == 422
    assert owner("delete", made).status_code == 204
    assert owner("get", made).status_code == 404


def test_a_link_opens_without_a_login(owner: Caller, place: str) -> None:
    export = written(owner, place, {})
    made = owner("post", f"/exports/{export['id']}/link", {"days": 1})
    assert made.status_code == 201, made.content
    url = made.json()["url"].removeprefix("http://testserver")
    assert len(body_of(Client().get(url)).splitlines()) == 9
    assert owner("post", f"/exports/{export['id']}/link", {"days": 365}).status_code == 422


def test_a_push_is_asked_for_once_and_watched(house: House, owner: Caller) -> None:
    place = f"/exports/{house.export.pk}/pushes"
    key = {"Idempotency-Key": "p"}
    body = {"repository": "me/pairs", "token_variable": "HF_TOKEN_TEAM"}
    made = owner("post", place, body, **key)
    assert made.status_code == 201, made.content
    assert owner("post", place, body, **key).json() == made.json()
    push = Push.objects.get()
    assert (push.private, push.token_variable) == (True, "HF_TOKEN_TEAM")
    assert owner("get", f"{place}/{push.pk}").json()["status"] == "pending"
    for wrong in ({"repository": "pairs"}, {**body, "token_variable": "SRT_SECRET_KEY"}):
        assert owner("post", place, wrong).status_code == 422
    Export.objects.update(status="writing")
    assert owner("post", place, body).status_code == 409
