"""Files of programs: looked into, imported in their way, stopped, sent in parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from refinement.models import Dataset
from refinement.services.datasets import import_dataset
from tests.api.conftest import Caller, caller

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from tests.web.conftest import House

ASKED = [{"ask": f"Name fruit {n}.", "say": "Apple."} for n in (1, 2, 2)]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: SettingsWrapper) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def owner(house: House) -> Caller:
    return caller(house.room.owner)


def lines(records: list[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def draft(house: House, owner: Caller, text: str) -> str:
    """The place of a stored file."""
    place = f"/projects/{house.room.project.pk}/datasets?filename=asked.jsonl&draft=true"
    made = owner("post", place, text)
    assert (made.status_code, made.json()["status"]) == (201, "draft")
    return f"/datasets/{made.json()['id']}"


def worked(owner: Caller, place: str, body: dict[str, Any]) -> dict[str, Any]:
    """The dataset once a worker has read it."""
    assert owner("post", place + "/import", body).status_code == 200
    import_dataset(dataset_id=int(place.rpartition("/")[2]))
    return dict(owner("get", place).json())


def test_a_draft_is_looked_into_then_imported_with_a_mapping(house: House, owner: Caller) -> None:
    place = draft(house, owner, lines(ASKED))
    found = owner("get", place + "/look").json()
    assert (found["container"], set(found["places"])) == ("jsonl", {"ask", "say"})
    mapping = {"instruction": "ask", "output": "say"}
    query = {"format": "fields", "mapping": json.dumps(mapping)}
    look = owner("get", place + "/look", query).json()
    assert look["rows"][0]["instruction"] == "Name fruit 1."
    assert look["rows"][0]["response"] == "Apple."
    (fields,) = [one for one in look["formats"] if one["name"] == "fields"]
    assert {"instruction", "output"} <= set(fields["required"])
    body = {"format": "fields", "mapping": mapping, "duplicates": "exact"}
    checked = worked(owner, place, {**body, "dry_run": True})
    assert (checked["status"], checked["skipped_count"]) == ("draft", 1)
    assert owner("get", place + "/samples").json()["items"] == []
    taken = worked(owner, place, body)
    assert (taken["status"], taken["sample_count"], taken["skipped_count"]) == ("ready", 2, 1)
    assert taken["mapping"]["instruction"] == "ask"
    assert taken["options"]["duplicates"] == "exact"
    assert owner("get", place + "/look").status_code == 409


def test_a_mapping_that_does_not_fit_is_refused_in_words(house: House, owner: Caller) -> None:
    place = draft(house, owner, lines(ASKED))
    for mapping, words in (({"instruction": "ask"}, "Choose the field"), ({"ask": "x"}, "ask")):
        refused = owner("post", place + "/import", {"format": "fields", "mapping": mapping})
        assert (refused.status_code, words in refused.json()["detail"]) == (422, True)
    ask = "mapping=%7B%22ask%22%3A%22x%22%7D"
    for query in ("format=yaml", "mapping=[1]", ask, f"format=fields&{ask}"):
        assert owner("get", f"{place}/look?{query}").status_code == 422
    broken = draft(house, owner, "nothing of ours")
    assert owner("get", broken + "/look").status_code == 422


def test_good_rows_or_nothing_and_another_try(house: House, owner: Caller) -> None:
    good = {"instruction": "Name a fruit.", "output": "Apple."}
    place = draft(house, owner, lines([good, {"instruction": "Nothing", "output": 5}]))
    failed = worked(owner, place, {"bad": "refuse"})
    assert (failed["status"], failed["sample_count"]) == ("failed", 0)
    assert owner("post", place + "/reopen").json()["status"] == "draft"
    taken = worked(owner, place, {"bad": "skip"})
    assert (taken["sample_count"], taken["rejected_count"]) == (1, 1)


def test_an_import_is_stopped_and_stays_a_draft(house: House, owner: Caller) -> None:
    place = draft(house, owner, lines(ASKED))
    assert owner("post", place + "/stop").status_code == 422
    owner(
        "post",
        place + "/import",
        {"format": "fields", "mapping": {"instruction": "ask", "output": "say"}},
    )
    assert owner("post", place + "/stop").json()["status"] == "draft"


def test_every_turn_of_a_chat(house: House, owner: Caller) -> None:
    turns = [("user", "Hi?"), ("assistant", "Hello."), ("user", "More?"), ("assistant", "No.")]
    chat = {"messages": [{"role": role, "content": text} for role, text in turns]}
    place = draft(house, owner, lines([chat]))
    assert len(owner("get", place + "/look?turns=every").json()["rows"]) == 2
    assert worked(owner, place, {"turns": "every"})["sample_count"] == 2


# -- Parts ----------------------------------------------------------------------------------------
def put(owner: Caller, place: str, offset: int, part: bytes) -> Any:
    client = Client(headers={"Authorization": f"Bearer {owner.token}"})
    return client.put(
        f"/api/v1{place}?offset={offset}", part, content_type="application/octet-stream"
    )


def test_a_file_in_parts_goes_on_where_it_stopped(house: House, owner: Caller) -> None:
    text = lines(ASKED).encode()
    begun = f"/projects/{house.room.project.pk}/uploads"
    about = {"filename": "asked.jsonl", "size": len(text), "modified": 5}
    upload = owner("post", begun, about).json()
    place = f"/uploads/{upload['id']}"
    assert put(owner, place, 0, text[:10]).json()["received"] == 10
    wrong = put(owner, place, 0, text[:10])
    assert (wrong.status_code, "10 bytes are here" in wrong.json()["detail"]) == (409, True)
    again = owner("post", begun, about).json()
    assert (again["id"], again["received"]) == (upload["id"], 10)
    assert owner("post", place + "/finish", {}).status_code == 422
    put(owner, place, 10, text[10:])
    made = owner("post", place + "/finish", {"name": "Whole"}).json()
    dataset = Dataset.objects.get(pk=made["id"])
    assert (dataset.name, dataset.status, dataset.file.read()) == ("Whole", "draft", text)
    assert owner("get", place).status_code == 404


def test_an_upload_is_of_who_began_it(house: House, owner: Caller) -> None:
    about = {"filename": "a.jsonl", "size": 4}
    upload = owner("post", f"/projects/{house.room.project.pk}/uploads", about).json()
    place = f"/uploads/{upload['id']}"
    house.room.project.memberships.filter(user=house.room.reviewer).update(role="owner")
    assert caller(house.room.reviewer)("get", place).status_code == 404
    assert owner("delete", place).status_code == 204
    assert owner("get", place).status_code == 404


def test_admins_take_what_lies_on_the_server(
    house: House, owner: Caller, files: Path, settings: SettingsWrapper
) -> None:
    folder = files / "served"
    folder.mkdir()
    (folder / "asked.jsonl").write_text(lines(ASKED))
    place = f"/projects/{house.room.project.pk}/server-folder"
    assert owner("get", place).status_code == 403
    house.room.owner.is_staff = True
    house.room.owner.save()
    assert owner("get", place).status_code == 404
    settings.IMPORT_FOLDER = str(folder)
    assert [entry["path"] for entry in owner("get", place).json()["items"]] == ["asked.jsonl"]
    made = owner("post", place, {"path": "asked.jsonl", "name": "Served"})
    assert (made.json()["name"], made.json()["status"]) == ("Served", "draft")
    assert owner("post", place, {"path": "../asked.jsonl"}).status_code == 422
