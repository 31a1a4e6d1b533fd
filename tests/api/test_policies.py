"""What-ifs, comparisons and changes of policy by programs: the same figures as the page has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.method.policies import POLICIES
from refinement.method.specs import PolicySpec
from refinement.selectors.run_columns import run_table
from refinement.selectors.what_if import compare_policies, flipped, policy_of, what_if
from tests.api.conftest import Caller, caller
from tests.review_room import Room, make_room
from tests.scored_run import fill

if TYPE_CHECKING:
    from refinement.models import Run

pytestmark = pytest.mark.django_db
STRICT = "max_r_ifd=0.7&require_response_accepted=false"


@pytest.fixture
def room() -> Room:
    return make_room()


@pytest.fixture
def run(room: Room) -> Run:
    return fill(room, 40)


@pytest.fixture
def owner(room: Room) -> Caller:
    return caller(room.owner)


def test_a_what_if_has_the_figures_of_the_page(run: Run, owner: Caller) -> None:
    answer = owner("get", f"/runs/{run.pk}/policy/what-if?{STRICT}").json()
    spec = PolicySpec(max_r_ifd=0.7, require_response_accepted=False)
    known = what_if(run, run_table(run), spec)
    assert answer["policy"] == spec.as_dict()
    assert answer["then"]["kept"] == known.then.kept != known.now.kept
    assert answer["now"]["kept"] == known.now.kept
    assert (answer["flips"], answer["flips_against"]) == (known.flips, known.flips_against)
    assert answer["is_own"] is False
    turned = owner("get", f"/runs/{run.pk}/pairs", {"turns": answer["turns"], "limit": 500})
    assert {line["id"] for line in turned.json()["items"]} == set(
        flipped(run, run_table(run), spec).tolist()
    )


def test_a_bound_can_be_taken_away_and_nonsense_is_refused(run: Run, owner: Caller) -> None:
    place = f"/runs/{run.pk}/policy/what-if"
    lifted = owner("get", place + "?max_ifd=none").json()
    assert lifted["policy"]["max_ifd"] is None
    assert lifted["then"]["kept"] >= lifted["now"]["kept"]
    unknown = owner("get", place + "?name=best")
    assert (unknown.status_code, "best" in unknown.json()["detail"]) == (422, True)
    assert owner("get", place + "?max_ifd=-1").status_code == 422


def test_all_policies_are_compared_under_the_same_filters(run: Run, owner: Caller) -> None:
    lines = owner("get", f"/runs/{run.pk}/policy/compare?max_ifd=0.9").json()["items"]
    assert [line["policy"]["name"] for line in lines] == list(POLICIES)
    known = compare_policies(run_table(run), PolicySpec(max_ifd=0.9))
    for line in lines:
        report = known[line["policy"]["name"]]
        assert (line["report"] or {}).get("kept") == (report.kept if report else None)


def test_using_a_policy_changes_what_differs_alone(run: Run, room: Room, owner: Caller) -> None:
    place = f"/runs/{run.pk}/policy"
    assert owner("get", place).json()["version"] == 0
    key = {"Idempotency-Key": "k"}
    made = owner("post", place, {"max_ifd": None, "max_r_ifd": 0.8}, **key)
    assert made.status_code == 201
    assert owner("post", place, {"max_ifd": None, "max_r_ifd": 0.8}, **key).json() == made.json()
    run.refresh_from_db()
    assert policy_of(run) == PolicySpec(max_ifd=None, max_r_ifd=0.8)
    now = owner("get", place).json()
    assert (now["version"], now["deriving"]) == (1, True)
    (change,) = owner("get", place + "/changes").json()["items"]
    assert (change["user"], change["applied_at"]) == (room.owner.username, None)
    again = owner("post", place, {"max_r_ifd": 0.8})
    assert "policy already" in again.json()["detail"]


def test_figures_are_those_of_the_pictures(run: Run, owner: Caller) -> None:
    found = owner("get", f"/runs/{run.pk}/figures").json()
    assert found["samples"] == len(run_table(run))
    assert sum(found["ifd"]["counts"][0]) <= found["samples"]
    assert len(found["losses"][0]["medians"]) == 4
    groups = {share["group"] for share in found["acceptance"]}
    assert {"phase", "place in the dataset"} <= groups


def test_a_run_without_scores_has_no_figures(room: Room, owner: Caller) -> None:
    empty = owner("get", f"/runs/{room.run.pk}/figures")
    assert (empty.status_code, "scored" in empty.json()["detail"]) == (409, True)
    assert owner("get", f"/runs/{room.run.pk}/policy/what-if").json()["total"] == 0
