"""The next pair, fetched before it is asked for: what the server gives, keeps and takes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from refinement.models import ReviewLease, RunSample
from refinement.services.decisions import record_decision
from refinement.services.review_plans import set_plan
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, client_of, make_room

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.models import User

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Boosted": "true", "HX-Target": "room"}


@pytest.fixture
def room() -> Room:
    room = make_room()
    for _ in range(3):
        room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    return room


def fetch(user: User, pair: RunSample, query: str = "") -> HttpResponse:
    url = reverse("review-next", args=[pair.run_id, pair.pk]) + query
    return client_of(user).get(url, headers=HTMX)


def decide(
    user: User, pair: RunSample, ahead: RunSample | str, query: str = "", **data: Any
) -> HttpResponse:
    """Drop the pair, with the next one in sight."""
    url = reverse("decide", args=[pair.run_id, pair.pk]) + query
    shown = str(ahead.pk) if isinstance(ahead, RunSample) else ahead
    posted = {"seen": 0, "action": "drop"} | data
    return client_of(user).post(url, posted, headers=HTMX | {"SRT-Ahead": shown})


def test_the_next_pair_comes_whole_and_is_kept_for_the_one_who_fetched_it(room: Room) -> None:
    first, second, third = room.pairs
    html = fetch(room.reviewer, first, "?view=side").content.decode()
    assert f'data-pair="{second.pk}"' in html
    assert "<title>Pair 2" in html
    assert reverse("decide", args=[room.run.pk, second.pk]) + "?view=side" in html
    assert reverse("review-next", args=[room.run.pk, second.pk]) + "?view=side" in html
    assert "<html" not in html
    assert ReviewLease.objects.get().ahead
    answer = client_of(room.owner).get(reverse("review", args=[room.run.pk]))
    assert answer.url == reverse("review-pair", args=[room.run.pk, first.pk])
    assert f'data-pair="{third.pk}"' in fetch(room.owner, first).content.decode()


def test_nothing_comes_after_the_last_one(room: Room) -> None:
    for pair in room.pairs[1:]:
        record_decision(run_sample=pair, user=room.owner, action="drop")
    assert fetch(room.reviewer, room.pairs[0]).status_code == 204


def test_a_decision_with_the_next_pair_in_sight_brings_what_changed_around_it(room: Room) -> None:
    first, second, third = room.pairs
    fetch(room.reviewer, first)
    answer = decide(room.reviewer, first, second)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert answer["SRT-Ahead"] == str(second.pk)
    assert answer["HX-Reswap"].startswith("none")
    assert answer["HX-Push-Url"] == reverse("review-pair", args=[room.run.pk, second.pk])
    assert "Dropped: pair 1." in html
    assert "<strong>1</strong> of 3 decided" in html
    assert html.count('hx-swap-oob="true"') == 4
    assert f'name="decision" value="{first.decisions.get().pk}"' in html
    lease = ReviewLease.objects.get()
    assert (lease.run_sample, lease.ahead) == (second, False)
    assert f'data-pair="{third.pk}"' in fetch(room.reviewer, second).content.decode()


@pytest.mark.parametrize("why", ["lease", "decided", "elsewhere", "nonsense"])
def test_a_pair_that_is_no_longer_theirs_gives_way_to_one_that_is(room: Room, why: str) -> None:
    first, second, third = room.pairs
    fetch(room.reviewer, first)
    shown: RunSample | str = second
    if why == "lease":
        ReviewLease.objects.all().delete()
        client_of(room.owner).get(reverse("review-pair", args=[room.run.pk, second.pk]))
    elif why == "decided":
        record_decision(run_sample=second, user=room.owner, action="drop")
    elif why == "elsewhere":
        shown = make_room("Other").add()
    else:
        shown = "²"
    answer = decide(room.reviewer, first, shown)
    assert "SRT-Ahead" not in answer.headers
    expected = second if why in ("elsewhere", "nonsense") else third
    assert answer["Location"] == reverse("review-pair", args=[room.run.pk, expected.pk])
    assert RunSample.objects.select_related("decision").get(pk=first.pk).decision is not None


def test_a_decision_that_fails_shows_its_own_pair_again(room: Room) -> None:
    first, second, _ = room.pairs
    fetch(room.reviewer, first)
    record_decision(run_sample=first, user=room.owner, action="original")
    answer = decide(room.reviewer, first, second)
    assert answer.status_code == 409
    assert "SRT-Ahead" not in answer.headers
    assert f"{room.owner} came first" in answer.content.decode()
    seen = first.decisions.get().pk
    refused = decide(room.reviewer, first, second, action="edit", seen=seen, instruction=" ")
    assert refused.status_code == 422
    assert f'data-pair="{first.pk}"' in refused.content.decode()


def test_other_lists_go_on_to_the_pair_in_sight_and_end(room: Room) -> None:
    for pair in room.pairs:
        record_decision(run_sample=pair, user=room.owner, action="original")
    second, third = room.pairs[1:]
    query = "?show=decided"
    html = fetch(room.reviewer, second, query).content.decode()
    assert f'data-pair="{third.pk}"' in html
    seen = second.decisions.get().pk
    answer = decide(room.reviewer, second, third, query, seen=seen)
    assert answer["SRT-Ahead"] == str(third.pk)
    assert fetch(room.reviewer, third, query).status_code == 204


def test_a_blind_pair_fetched_ahead_tells_no_more_than_one_on_screen(room: Room) -> None:
    set_plan(run=room.run, reviewers_per_pair=2, blind=True, seed=3, by=room.owner)
    first, second, _ = room.pairs
    html = fetch(room.reviewer, first, "?order=margin&of=2").content.decode()
    assert "room__in--blind" in html
    assert not any(word in html for word in ("r-IFD", "Rewrite", "order=margin"))
    answer = decide(room.reviewer, first, second, side="A").content.decode()
    assert "line--blind" in answer
    assert "Take it back" in answer
    assert not any(word in answer for word in ("line__margin", "order=margin", "Rewrite"))
