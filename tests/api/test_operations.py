"""What programs do, and what they are told when it does not work."""

from __future__ import annotations

import json
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import caches
from ninja import Schema

from refinement.api import schemas
from refinement.models import Dataset, Decision, Export, Project, Run
from tests.api.conftest import Caller, caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import House


@pytest.fixture
def owner(house: House) -> Caller:
    return caller(house.room.owner)


def test_no_two_schemas_have_one_name() -> None:
    """OpenAPI knows a schema by its name: the second would take the place of the first."""
    names: dict[str, set[str]] = {}
    for module in iter_modules(schemas.__path__):
        for found in vars(import_module(f"{schemas.__name__}.{module.name}")).values():
            if isinstance(found, type) and issubclass(found, Schema):
                names.setdefault(found.__name__, set()).add(found.__module__)
    assert {name for name, modules in names.items() if len(modules) > 1} == set()


def test_lists_come_in_pages_that_miss_nothing(house: House, owner: Caller) -> None:
    for number in range(5):
        owner("post", "/projects", {"name": f"P{number}"})
    names, cursor = [], ""
    for _ in range(3):
        page = owner("get", f"/projects?limit=2&cursor={cursor}").json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next"]
    assert names == ["P4", "P3", "P2", "P1", "P0", house.room.project.name]
    assert cursor is None
    bad = owner("get", "/projects?cursor=nonsense")
    assert (bad.status_code, bad.json()["status"]) == (422, 422)


def test_a_key_sent_twice_creates_one_thing(owner: Caller) -> None:
    key = {"Idempotency-Key": "monday-1"}
    first = owner("post", "/projects", {"name": "Once"}, **key)
    again = owner("post", "/projects", {"name": "Once"}, **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Project.objects.filter(name="Once").count() == 1
    other = owner("post", "/projects", {"name": "Other"}, **key)
    assert other.status_code == 409
    assert "Take a new one" in other.json()["detail"]


def test_a_key_of_a_refused_request_may_be_used_again(house: House, owner: Caller) -> None:
    key, place = {"Idempotency-Key": "k"}, f"/projects/{house.room.project.pk}/members"
    refused = owner("post", place, {"username": "nobody", "role": "viewer"}, **key)
    assert refused.status_code == 422
    body = {"username": house.staff.username, "role": "viewer"}
    assert owner("post", place, body, **key).status_code == 201


def test_an_upload_is_stored_as_it_is_sent(house: House, owner: Caller) -> None:
    place = f"/projects/{house.room.project.pk}/datasets?filename=pairs.jsonl"
    data = {"instruction": "Hello?", "output": "Hello."}
    answer = owner("post", place, data)
    assert answer.status_code == 201
    dataset = Dataset.objects.get(pk=answer.json()["id"])
    assert dataset.name == "pairs"
    assert json.loads(dataset.file.read()) == data
    assert owner("post", place, "").status_code == 411


def test_deciding_undoing_and_coming_second(house: House, owner: Caller) -> None:
    run, pair = house.room.run.pk, house.room.pairs[0]
    place = f"/runs/{run}/pairs/{pair.pk}"
    detail = owner("get", place).json()
    assert detail["versions"][0]["key"] == "original"
    edit = {"instruction": "Shorter.", "response": "Yes."}
    made = owner("post", place + "/decisions", {"action": "edit", "edit": edit, "seen": 0})
    assert made.status_code == 201
    late = caller(house.room.reviewer)("post", place + "/decisions", {"action": "drop", "seen": 0})
    assert late.status_code == 409
    assert "your decision was not saved" in late.json()["detail"]
    undone = owner("post", place + "/undo", {"seen": made.json()["id"]})
    assert undone.json()["action"] == "undo"
    pair.refresh_from_db()
    assert pair.decision is None
    assert Decision.objects.count() == 2


def test_lists_of_pairs_by_what_counts(house: House, owner: Caller) -> None:
    place = f"/runs/{house.room.run.pk}/pairs"
    lines = owner("get", place).json()["items"]
    assert [line["mark"] for line in lines] == ["kept", "failed"]
    assert len(owner("get", place + "?show=failed").json()["items"]) == 1
    assert owner("get", place + "?show=everything").status_code == 422


def test_a_run_tells_how_far_it_is_and_nothing_of_the_teachers_place(
    house: House, owner: Caller
) -> None:
    Run.objects.update(
        config={"teacher": {"model": "m", "base_url": "http://10.0.0.9", "api_key_variable": "K"}}
    )
    run = owner("get", f"/runs/{house.room.run.pk}").json()
    assert run["progress"]["total"] == 2
    assert run["config"] == {"teacher": {"model": "m"}}


def test_watching_ends_with_the_run(house: House, owner: Caller) -> None:
    Run.objects.update(status="complete")
    answer = owner("get", f"/runs/{house.room.run.pk}/events")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined,arg-type]
    assert answer["Content-Type"] == "text/event-stream"
    events = [line for line in text.splitlines() if line.startswith("event: ")]
    assert events == ["event: progress", "event: end"]


@pytest.mark.django_db(transaction=True)  # between two looks the stream sees to its connection
def test_watching_ends_when_the_run_does(house: House, owner: Caller) -> None:
    Run.objects.update(status="running")
    answer = owner("get", f"/runs/{house.room.run.pk}/events")
    told = iter(answer.streaming_content)  # type: ignore[attr-defined,arg-type]
    while b"event: progress" not in (part := next(told)):
        pass
    assert b'"status": "running"' in part
    Run.objects.update(status="cancelled")
    rest = b"".join(told).decode()
    assert rest.count("event: progress") == rest.count("event: end") == 1
    assert '"status": "cancelled"' in rest


def test_no_more_watch_than_threads_are_spared_for_it(house: House, owner: Caller) -> None:
    place = f"/runs/{house.room.run.pk}/events"
    watching = [owner("get", place) for _ in range(4)]
    refused = owner("get", place)
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    let_go(watching)
    again = owner("get", place)
    assert again.status_code == 200
    let_go([again])


def let_go(answers: list[Any]) -> None:
    """As the server does when a client has gone, but without closing the test's database."""
    for answer in answers:
        for close in answer._resource_closers:
            close()


def test_exports_are_fetched_as_files(house: House, owner: Caller) -> None:
    answer = owner("get", f"/exports/{house.export.pk}/file")
    assert b"".join(answer.streaming_content) == b"{}\n"  # type: ignore[attr-defined,arg-type]
    Export.objects.update(status="writing")
    early = owner("get", f"/exports/{house.export.pk}/file")
    assert early.status_code == 409


def test_a_token_may_ask_so_often_in_a_minute(
    house: House, owner: Caller, valkey_url: str, settings: Any
) -> None:
    caches["limits"].clear()  # a token of an earlier test may have had the same id
    settings.API_REQUESTS_PER_MINUTE = 2
    answers = [owner("get", "/me") for _ in range(6)]  # a minute may turn over in between, once
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert 1 <= int(refused[0]["Retry-After"]) <= 60
    assert answers[0]["RateLimit-Remaining"] == "1"


def test_without_the_counter_nobody_is_shut_out(owner: Caller, settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    settings.CACHES = settings.CACHES | {
        "limits": settings.CACHES["limits"] | {"LOCATION": "redis://127.0.0.1:9/0"}
    }
    assert [owner("get", "/me").status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", "/nothing", 404), ("put", "/me", 405), ("get", "/projects/99999999999999999999", 422)],
)
def test_what_is_not_there_is_a_problem_too(
    owner: Caller, method: str, path: str, status: int
) -> None:
    answer = owner(method, path)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_the_description_is_of_version_3_1(ask: Callable[[str], Caller]) -> None:
    schema = ask("anonymous")("get", "/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    upload = schema["paths"]["/api/v1/projects/{project_id}/datasets"]["post"]
    assert "application/octet-stream" in upload["requestBody"]["content"]
