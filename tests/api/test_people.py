"""Several people at one run, through programs: plans, shares, opinions, disputes, blind review."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from refinement.models import Decision, Membership, RunSample, User
from tests.api.conftest import Caller, caller

if TYPE_CHECKING:
    from tests.web.conftest import House


@pytest.fixture
def owner(house: House) -> Caller:
    return caller(house.room.owner)


@pytest.fixture
def reviewer(house: House) -> Caller:
    return caller(house.room.reviewer)


@pytest.fixture
def second(house: House) -> Caller:
    user = User.objects.create_user("second", password="chalk and slate and ink")
    Membership.objects.create(project=house.room.project, user=user, role="reviewer")
    return caller(user)


@pytest.fixture
def place(house: House) -> str:
    house.room.fill(3)
    return f"/runs/{house.room.run.pk}"


def pair_at(house: House, number: int) -> str:
    return f"/runs/{house.room.run.pk}/pairs/{house.room.pairs[number].pk}"


def say(who: Caller, pair: str, **body: Any) -> dict[str, Any]:
    answer = who("post", pair + "/decisions", body)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def test_pairs_are_shared_out_and_taken_back(
    house: House, owner: Caller, second: Caller, place: str
) -> None:
    names = [house.room.reviewer.username, "second"]
    assert owner("post", place + "/assignments", {"people": names}).json() == {"count": 5}
    people = {one["username"]: one for one in owner("get", place + "/people").json()["items"]}
    assert sorted(people[name]["left"] for name in names) == [2, 3]
    freed = owner("post", place + "/assignments/take-back", {"username": "second"}).json()
    assert freed["count"] == people["second"]["left"]
    for wrong in ({"people": ["nobody"]}, {"people": []}):
        assert owner("post", place + "/assignments", wrong).status_code == 422


def test_next_gives_two_people_different_pairs(
    reviewer: Caller, second: Caller, owner: Caller, place: str
) -> None:
    first, other = (who("post", place + "/next", {}).json()["pair"] for who in (reviewer, second))
    assert first != other
    after = reviewer("post", place + "/next", {"after": first}).json()["pair"]
    assert after not in {first, other, None}
    assert reviewer("post", place + "/next", {"filter": {"q": "nowhere"}}).json() == {"pair": None}


def test_opinions_agree_differ_and_are_settled(
    house: House, owner: Caller, reviewer: Caller, second: Caller, place: str
) -> None:
    owner("post", place + "/plan", {"reviewers_per_pair": 2, "seed": 1})
    assert owner("get", place + "/plan").json()["reviewers_per_pair"] == 2
    agreed, disputed = pair_at(house, 2), pair_at(house, 3)
    assert say(reviewer, agreed, action="drop")["opinion"] is True
    assert second("get", agreed + "/opinions").json()["items"] == []
    say(second, agreed, action="drop")
    say(reviewer, disputed, action="drop")
    say(second, disputed, action="original")
    decision = Decision.objects.get()
    assert (decision.basis, decision.run_sample) == ("agreement", house.room.pairs[2])
    (dispute,) = owner("get", place + "/disputes").json()["items"]
    assert [said["action"] for said in dispute["opinions"]] == ["drop", "original"]
    table = owner("get", place + "/agreement").json()
    assert (table["compared"], table["people"][0]["share"]) == (2, 0.5)
    settled = say(owner, disputed, action="original", seen=0)
    assert settled["opinion"] is False
    assert Decision.objects.get(pk=settled["id"]).basis == "adjudication"
    closed = reviewer("post", disputed + "/opinions/withdraw")
    assert (closed.status_code, "settled" in closed.json()["detail"]) == (422, True)
    assert reviewer("post", agreed + "/opinions/withdraw").status_code == 204
    house.room.pairs[2].refresh_from_db()
    assert house.room.pairs[2].decision is None


def test_a_blind_pair_tells_nothing_of_where_its_sides_are_from(
    house: House, owner: Caller, reviewer: Caller, place: str
) -> None:
    owner("post", place + "/plan", {"reviewers_per_pair": 2, "blind": True, "seed": 4})
    pair = pair_at(house, 2)
    seen = owner("get", pair).json()
    assert (seen["blind"], seen["verdict"], seen["kept"]) == (True, "", None)
    sides = {version["key"]: version["response"] for version in seen["versions"]}
    assert list(sides) == ["A", "B", "C"]
    for version in seen["versions"]:
        assert (version["ifd"], version["candidate"], version["criticism"]) == (None, None, "")
    for number, letter in enumerate(sides):
        said = say(reviewer, pair_at(house, 2), action="candidate", side=letter)
        assert (said["action"], said["candidate"], said["opinion"]) == ("side", None, True), number
        (mine,) = reviewer("get", pair + "/opinions").json()["items"]
        assert (mine["side"], mine["action"], mine["candidate"]) == (letter, "side", None)
    for wrong in ({"action": "original"}, {"action": "accept"}, {"action": "candidate"}):
        assert reviewer("post", pair + "/decisions", wrong).status_code == 422
    assert reviewer("get", place + "/agreement").status_code == 403


def test_a_blind_list_has_numbers_alone(owner: Caller, reviewer: Caller, place: str) -> None:
    owner("post", place + "/plan", {"blind": True, "seed": 4})
    lines = reviewer("get", place + "/pairs").json()["items"]
    assert len(lines) == 5
    assert {(line["title"], line["mark"], line["margin"]) for line in lines} == {("", "", None)}
    for query in ("show=kept", "order=ifd", "q=tips", "verdict=kept"):
        assert reviewer("get", f"{place}/pairs?{query}").status_code == 422


def test_one_blind_reviewer_decides_by_a_side(house: House, owner: Caller, place: str) -> None:
    owner("post", place + "/plan", {"blind": True, "seed": 4})
    pair = pair_at(house, 2)
    sides = {v["key"]: v for v in owner("get", pair).json()["versions"]}
    edit = {"instruction": "Mine?", "response": sides["B"]["response"]}
    say(owner, pair, action="edit", side="B", edit=edit, seen=0)
    seen = owner("get", pair).json()
    assert (seen["blind"], seen["mark"]) == (False, "kept")
    assert RunSample.objects.get(pk=seen["id"]).decision.candidate.instruction == "Mine?"  # type: ignore[union-attr]
    unasked = owner("post", pair + "/decisions", {"action": "candidate", "side": "A"})
    assert (unasked.status_code, "no sides" in unasked.json()["detail"]) == (422, True)
