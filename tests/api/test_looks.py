"""What programs may look at beside the work: tokens, points, who else is there, the status."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from refinement.method.token_archive import pack
from refinement.method.token_losses import ResponseTokens, TokenLoss
from refinement.models import Decision, Score, TokenWish
from refinement.services.decisions import record_decision, undo_decision
from refinement.services.review_leases import hold
from refinement.services.review_plans import set_plan
from tests.api.conftest import Caller, caller

if TYPE_CHECKING:
    from tests.web.conftest import House

LOSSES = ResponseTokens(
    alone=(TokenLoss(4, 9, 3.0),), given_instruction=(TokenLoss(0, 4, 2.0), TokenLoss(4, 9, 0.5))
)


@pytest.fixture
def reviewer(house: House) -> Caller:
    return caller(house.room.reviewer)


@pytest.fixture
def run(house: House) -> str:
    return f"/runs/{house.room.run.pk}"


@pytest.fixture
def pair(house: House, run: str) -> str:
    return f"{run}/pairs/{house.room.pairs[0].pk}"


def test_tokens_are_read_and_asked_for(house: House, reviewer: Caller, pair: str) -> None:
    assert reviewer("post", pair + "/tokens").status_code == 202
    assert TokenWish.objects.get().user == house.room.reviewer
    Score.objects.filter(run_sample=house.room.pairs[0]).update(token_losses=pack(LOSSES))
    refused = reviewer("post", pair + "/tokens")
    assert (refused.status_code, "already" in refused.json()["detail"]) == (422, True)
    versions = reviewer("get", pair + "/tokens").json()["items"]
    assert versions[0]["key"] == "original"
    first, second = versions[0]["tokens"]
    assert (first["start"], first["alone"], first["given_instruction"]) == (0, None, 2.0)
    assert (second["end"], second["alone"], second["given_instruction"]) == (9, 3.0, 0.5)
    set_plan(run=house.room.run, reviewers_per_pair=1, blind=True, seed=1, by=house.room.owner)
    assert reviewer("get", pair + "/tokens").status_code == 409


def test_a_pair_tells_who_else_has_it_open(house: House, reviewer: Caller, pair: str) -> None:
    assert reviewer("get", pair).json()["open_by"] == []
    for user in (house.room.owner, house.room.reviewer):
        hold(run_sample=house.room.pairs[0], user=user)
    assert reviewer("get", pair).json()["open_by"] == [house.room.owner.username]


def test_points_are_those_of_the_pictures(house: House, reviewer: Caller, run: str) -> None:
    house.room.fill(4)
    points = reviewer("get", run + "/points").json()
    samples = reviewer("get", run + "/figures").json()["samples"]
    assert len(set(points["pairs"]) & {pair.pk for pair in house.room.pairs}) == samples >= 4
    assert {len(column) for column in points.values()} == {samples}
    assert set(points["verdicts"]) <= {0, 1, 2, 3, 4}
    assert any(value is not None for value in points["delta_r_ifd"])
    none = reviewer("get", run + "/points?max_r_ifd=0.0001").json()
    assert set(none["verdicts"]) == {0} != set(points["verdicts"])
    assert reviewer("get", run + "/points?name=nonsense").status_code == 422


def test_the_history_is_the_same_in_both_forms(house: House, reviewer: Caller, run: str) -> None:
    for action in (Decision.Action.DROP, Decision.Action.ORIGINAL):
        record_decision(run_sample=house.room.pairs[0], user=house.room.reviewer, action=action)
    lines = b"".join(reviewer("get", run + "/history.jsonl").streaming_content).decode()
    table = b"".join(reviewer("get", run + "/history.csv").streaming_content).decode()
    records = [json.loads(line) for line in lines.splitlines()]
    assert [record["action"] for record in records] == ["drop", "original"]
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["action"] for row in rows] == ["drop", "original"]
    assert list(rows[0]) == list(records[0])


def test_under_a_blind_plan_the_history_does_not_tell_of_undecided_pairs(
    house: House, reviewer: Caller, run: str
) -> None:
    room = house.room
    room.fill(1)
    set_plan(run=room.run, reviewers_per_pair=1, blind=True, seed=1, by=room.owner)
    undone, decided = room.pairs[0], room.pairs[-1]
    for row in (undone, decided):
        record_decision(run_sample=row, user=room.reviewer, action=Decision.Action.ORIGINAL)
    undo_decision(run_sample=undone, user=room.reviewer)
    for form in ("jsonl", "csv"):
        told = b"".join(reviewer("get", f"{run}/history.{form}").streaming_content).decode()
        assert (told.count("original"), told.count("undo")) == (1, told.count("undoes"))
    actions = [one["action"] for one in reviewer("get", run + "/history").json()["items"]]
    assert actions == ["original"]
    page = house.visitor("reviewer").get(f"/runs/{room.run.pk}/history").content.decode()
    assert f"/review/{decided.pk}" in page
    assert f"/review/{undone.pk}" not in page
    owner = caller(room.owner)("get", run + "/history").json()["items"]
    assert [one["action"] for one in owner] == ["undo", "original", "original"]


def test_the_status_says_what_is_wrong(house: House) -> None:
    found = caller(house.staff)("get", "/status").json()
    assert {queue["name"] for queue in found["queues"]} == {"teacher", "student", "default"}
    assert found["troubles"], "no worker runs here"
    assert all(trouble["what"] and trouble["next"] for trouble in found["troubles"])
    assert found["disk_total_bytes"] > found["disk_free_bytes"] > 0


def test_own_tokens_are_listed_and_ended(house: House, reviewer: Caller) -> None:
    caller(house.room.owner)
    limited = caller(house.room.reviewer, project=house.room.project)
    of_project, other = reviewer("get", "/me/tokens").json()["items"]
    assert of_project["project"] == house.room.project.pk
    assert other["project"] is None
    assert "digest" not in other
    assert [one["id"] for one in limited("get", "/me/tokens").json()["items"]] == [of_project["id"]]
    assert limited("delete", f"/me/tokens/{other['id']}").status_code == 404
    assert reviewer("delete", f"/me/tokens/{of_project['id']}").status_code == 204
    assert limited("get", "/me").status_code == 401
