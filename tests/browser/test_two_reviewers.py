"""Two reviewers in two browsers at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from refinement.models import Decision, RunSample
from refinement.services.review_plans import set_plan
from tests.browser.visitor import Visitor, light_and_dark
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django.live_server_helper import LiveServer

    from refinement.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def room(transactional_db: None) -> Room:
    room = make_room()
    for _ in range(4):
        room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    return room


@pytest.fixture
def arrive(
    live_server: LiveServer, visit: Callable[..., Visitor], room: Room
) -> Callable[[User], Visitor]:
    def open_room(user: User) -> Visitor:
        visitor = visit(live_server.url)
        visitor.enter(user.username)
        visitor.open_review(room.run.pk)
        return visitor

    return open_room


def test_two_reviewers_never_get_one_pair_and_see_each_other(
    room: Room, arrive: Callable[[User], Visitor]
) -> None:
    one = arrive(room.reviewer)
    one.sees_pair(1)
    one.wait_fetched()
    other = arrive(room.owner)
    other.sees_pair(3)  # the second is kept for the first reviewer, as the next one
    one.press("a")
    one.sees_pair(2)
    other.press("d")
    other.sees_pair(4)
    one.sees_toast("Accepted the verdict: pair 1.")
    other.sees_toast("Dropped: pair 3.")
    decided = Decision.objects.order_by("run_sample__position").values_list("user", flat=True)
    assert list(decided) == [room.reviewer.pk, room.owner.pk]
    other.page.goto(f"/runs/{room.run.pk}/review/{room.pairs[1].pk}")
    expect(other.page.locator("#presence")).to_contain_text(f"{room.reviewer} is looking")
    other.press("o")
    other.sees_toast("Kept the original: pair 2.")
    one.expected_statuses.add(409)
    one.press("d")
    expect(one.page.locator(".conflict")).to_contain_text(f"{room.owner} came first")
    decision = RunSample.objects.select_related("decision").get(pk=room.pairs[1].pk).decision
    assert decision is not None
    assert decision.user == room.owner


@light_and_dark
def test_two_blind_opinions_by_key_become_a_dispute_that_the_owner_settles(
    room: Room, arrive: Callable[[User], Visitor]
) -> None:
    set_plan(run=room.run, reviewers_per_pair=2, blind=True, seed=3, by=room.owner)
    one, other = arrive(room.reviewer), arrive(room.owner)
    one.sees_pair(1)
    other.sees_pair(1)
    one.press("1")
    one.sees_toast("Your opinion on pair 1: chose A.")
    other.press("2")
    other.sees_toast("Your opinion on pair 1: chose B.")
    other.page.goto(f"/runs/{room.run.pk}/review/{room.pairs[0].pk}")
    expect(other.page.locator(".opinions")).to_contain_text("The reviewers differ.")
    other.press("1")
    other.sees_toast("Chose A: pair 1.")
    assert RunSample.objects.get(pk=room.pairs[0].pk).decision is not None
