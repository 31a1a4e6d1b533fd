"""Acts on many pairs by programs, the lists they act on, the history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from refinement.models import BulkAct, Decision, RunSample
from refinement.services.bulk_acts import perform
from refinement.services.review_plans import set_plan
from tests.api.conftest import Caller, caller

if TYPE_CHECKING:
    from django.test import Client

    from tests.web.conftest import House


@pytest.fixture
def owner(house: House) -> Caller:
    return caller(house.room.owner)


@pytest.fixture
def place(house: House) -> str:
    """A run with ten pairs that can be reviewed: nine kept by the student, one failed."""
    house.room.fill(8)
    return f"/runs/{house.room.run.pk}"


def ids(answer: Any) -> list[int]:
    return [item["id"] for item in answer.json()["items"]]


def worked(answer: Any) -> dict[str, Any]:
    """The act once a worker has done it."""
    assert answer.status_code in {200, 201}, answer.content
    perform(act_id=answer.json()["id"])
    return dict(answer.json())


def test_an_act_is_counted_done_watched_and_undone(owner: Caller, place: str) -> None:
    preview = owner("get", place + "/acts/preview?show=kept&q=question").json()
    assert preview["count"] == 8
    assert len(preview["sample"]) == 8
    assert all("Question" in line["title"] for line in preview["sample"])
    body = {"action": "drop", "filter": {"show": "kept", "q": "question"}, "expected": 8}
    act = worked(owner("post", place + "/acts", body))
    seen = owner("get", f"{place}/acts/{act['id']}").json()
    assert (seen["status"], seen["matched"], seen["done"]) == ("done", 8, 8)
    assert seen["filter"] == {"show": "kept", "q": "question"}
    assert Decision.objects.filter(action="drop").count() == 8
    worked(owner("post", f"{place}/acts/{act['id']}/undo"))
    seen = owner("get", f"{place}/acts/{act['id']}").json()
    assert (seen["status"], seen["undone"]) == ("undone", 8)
    assert not RunSample.objects.exclude(decision=None).exists()
    again = owner("post", f"{place}/acts/{act['id']}/undo")
    assert (again.status_code, "not undone yet" in again.json()["detail"]) == (422, True)


def test_an_act_needs_a_filter_and_something_to_act_on(owner: Caller, place: str) -> None:
    """Nobody drops a whole run by leaving a word out, or by a slip in one."""
    for body in ({}, {"filter": {"shw": "kept"}}, {"filter": {"show": "kept", "ifd_min": "high"}}):
        answer = owner("post", place + "/acts", {"action": "drop", "expected": 1, **body})
        assert answer.status_code == 422
    empty = {"action": "drop", "filter": {"q": "nowhere"}, "expected": 0}
    assert "Nothing matches" in owner("post", place + "/acts", empty).json()["detail"]
    assert not BulkAct.objects.exists()


def test_only_owners_assign_and_undo_what_others_did(
    house: House, owner: Caller, place: str
) -> None:
    body = {"filter": {}, "expected": 10, "assignee": house.room.reviewer.username}
    reviewer = caller(house.room.reviewer)
    assert reviewer("post", place + "/acts", {"action": "assign", **body}).status_code == 403
    act = worked(owner("post", place + "/acts", {"action": "assign", **body}))
    assert house.room.reviewer.assignments.count() == 10
    assert reviewer("post", f"{place}/acts/{act['id']}/undo").status_code == 403
    unknown = owner("post", place + "/acts", {"action": "assign", **body, "assignee": "nobody"})
    assert "Choose somebody" in unknown.json()["detail"]


def test_under_a_blind_plan_lists_are_for_owners(
    house: House, owner: Caller, place: str, client: Client
) -> None:
    set_plan(run=house.room.run, reviewers_per_pair=2, blind=True, seed=1, by=house.room.owner)
    act = {"action": "drop", "filter": {"show": "kept"}, "expected": 9}
    reviewer = caller(house.room.reviewer)
    assert reviewer("get", place + "/acts/preview?show=kept").status_code == 403
    assert reviewer("post", place + "/acts", act).status_code == 403
    assert owner("get", place + "/acts/preview?show=kept").status_code == 200
    client.force_login(house.room.reviewer)
    assert client.get(f"{place}/bulk?show=kept").status_code == 403
    client.force_login(house.room.owner)
    assert client.get(f"{place}/bulk?show=kept").status_code == 200
    assert not BulkAct.objects.exists()


def test_history_and_the_way_back_to_a_point(house: House, owner: Caller, place: str) -> None:
    first, second = house.room.pairs[2:4]
    for pair in (first, second):
        owner("post", f"{place}/pairs/{pair.pk}/decisions", {"action": "drop", "seen": 0})
    history = owner("get", place + "/history").json()["items"]
    assert [one["pair"] for one in history] == [second.pk, first.pk]
    assert all(one["counts"] for one in history)
    worked(owner("post", place + "/restore", {"decision": history[1]["id"]}))
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.decision_id is None, second.decision_id is None) == (False, True)
    whole = b"".join(owner("get", place + "/history.jsonl").streaming_content)  # type: ignore[attr-defined,arg-type]
    lines = [json.loads(line) for line in whole.splitlines()]
    assert [line["action"] for line in lines] == ["drop", "drop", "undo"]
    missing = owner("post", place + "/restore", {"decision": 10**9})
    assert (missing.status_code, "history" in missing.json()["detail"]) == (422, True)


# -- Lists ----------------------------------------------------------------------------------------
def test_every_order_comes_in_pages_that_miss_nothing(owner: Caller, place: str) -> None:
    everything = set(ids(owner("get", place + "/pairs")))
    orders = ("position", "margin", "ifd", "r_ifd", "length", "disagreement", "random")
    for order in orders:
        found: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = owner("get", f"{place}/pairs?order={order}&seed=7&limit=3&cursor={cursor}")
            found += ids(page)
            cursor = page.json()["next"]
        assert len(found) == len(everything) == 10
        assert set(found) == everything
    margins = owner("get", place + "/pairs?order=margin&q=question").json()["items"]
    assert [line["margin"] for line in margins] == sorted(line["margin"] for line in margins)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("verdict=kept", 9),
        ("verdict=none", 1),
        ("show=failed", 1),
        ("phase=both", 9),
        ("phase=none", 0),
        ("ifd_min=0.8", 8),
        ("ifd_min=0.8&ifd_max=0.85", 0),
        ("delta_r_ifd_max=-0.1", 3),
        ("q=evidence", 9),
        ("flag=flagged", 1),
        ("flag=unscorable", 0),
        ("decision=drop", 1),
        ("show=decided", 1),
        ("turns=%7B%22max_ifd%22%3A0.8%7D", 8),
    ],
)
def test_lists_are_narrowed_as_in_the_review_room(
    house: House, owner: Caller, place: str, query: str, count: int
) -> None:
    flagged, dropped = (f"{place}/pairs/{pair.pk}" for pair in house.room.pairs[4:6])
    assert owner("post", flagged + "/flag", {"flagged": True}).json() == {"flagged": True}
    owner("post", dropped + "/decisions", {"action": "drop", "seen": 0})
    assert len(ids(owner("get", f"{place}/pairs?{query}"))) == count


def test_words_that_no_list_knows_are_refused(owner: Caller, place: str) -> None:
    for query in ("order=best", "flag=red", "turns=%7B%22name%22%3A%22none%22%7D", "ifd_min=inf"):
        assert owner("get", f"{place}/pairs?{query}").status_code == 422
    assert owner("get", f"{place}/pairs?cursor=OTk5OTk5").status_code == 422


def test_a_view_keeps_a_filter_under_a_name(house: House, owner: Caller, place: str) -> None:
    views = f"/projects/{house.room.project.pk}/views"
    for flag in ("truncated", "flagged"):
        made = owner("post", views, {"name": "Odd", "filter": {"flag": flag, "order": "margin"}})
    assert made.status_code == 201
    (view,) = owner("get", views).json()["items"]
    assert view["filter"] == {"show": "all", "flag": "flagged", "order": "margin"}
    owner("post", f"{place}/pairs/{house.room.pairs[3].pk}/flag", {"flagged": True})
    query = "&".join(f"{name}={value}" for name, value in view["filter"].items())
    assert ids(owner("get", f"{place}/pairs?{query}")) == [house.room.pairs[3].pk]
    assert owner("delete", f"{views}/{view['id']}").status_code == 204
    assert owner("get", views).json()["items"] == []
