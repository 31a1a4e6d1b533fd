"""The next pair is there when a decision leaves, and gives way where the server says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from refinement.models import Decision, ReviewLease
from refinement.services.decisions import record_decision
from refinement.services.review_leases import hold
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Route
    from pytest_django.live_server_helper import LiveServer

    from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def room(transactional_db: None) -> Room:
    room = make_room()
    for _ in range(4):
        room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    return room


@pytest.fixture
def me(live_server: LiveServer, visit: Callable[..., Visitor], room: Room) -> Visitor:
    """At the first pair, with the second one fetched."""
    visitor = visit(live_server.url)
    visitor.enter(room.reviewer.username)
    visitor.open_review(room.run.pk)
    visitor.sees_pair(1)
    visitor.wait_fetched()
    visitor.wait_ready()
    return visitor


@pytest.fixture
def held(me: Visitor) -> list[Route]:
    """Decisions on their way that have not reached the server yet."""
    routes: list[Route] = []
    me.page.route("**/decide*", lambda route: routes.append(route))
    return routes


def test_the_next_pair_is_painted_before_the_server_answers_and_no_key_is_lost(
    me: Visitor, room: Room, held: list[Route]
) -> None:
    me.page.keyboard.press("d")
    me.sees_pair(2)
    assert me.page.title().startswith("Pair 2")
    assert not Decision.objects.exists()
    me.page.wait_for_timeout(300)  # longer than the guard against double taps
    me.page.keyboard.press("o")  # the first decision has not even arrived
    held.pop(0).continue_()
    expect(me.shown.locator(".queue__done")).to_contain_text("1 of 4")
    while not held:
        me.page.wait_for_timeout(20)
    held.pop(0).continue_()
    me.sees_pair(3)
    me.sees_toast("Kept the original: pair 2.")
    me.wait_ready()
    assert [pair.decisions.count() for pair in room.pairs] == [1, 1, 0, 0]
    assert me.page.url.endswith(str(room.pairs[2].pk))
    me.page.unroute("**/decide*")
    me.press("u")
    me.sees_pair(2)
    me.sees_toast("Undone for pair 2")
    me.page.go_back()
    me.sees_pair(3)


def test_a_decision_that_does_not_arrive_brings_its_pair_back(
    me: Visitor, held: list[Route]
) -> None:
    me.press("e")
    response = me.page.get_by_label("Response")
    response.fill("Not lost")
    me.wait_ready()
    me.page.keyboard.press("Control+Enter")
    me.sees_pair(2)
    held.pop(0).abort()
    me.sees_pair(1)
    expect(response).to_have_value("Not lost")
    expect(me.page.locator(".toasts")).to_contain_text("Nothing was saved")
    assert all("net::ERR" in t or "console error: htmx:" in t for t in me.troubles), me.troubles
    me.troubles.clear()
    assert not Decision.objects.exists()
    me.wait_ready()
    me.wait_fetched()  # once more
    response.press("Control+Enter")
    me.sees_pair(2)
    held.pop(0).continue_()
    me.sees_toast("Edited: pair 1.")
    assert Decision.objects.get().candidate is not None


def test_a_conflict_or_a_refusal_is_shown_with_its_own_pair(
    me: Visitor, room: Room, held: list[Route]
) -> None:
    me.expected_statuses |= {409, 422}
    record_decision(run_sample=room.pairs[0], user=room.owner, action="original")
    me.page.keyboard.press("d")
    me.sees_pair(2)
    held.pop(0).continue_()
    me.sees_pair(1)
    expect(me.page.locator(".conflict")).to_contain_text(f"{room.owner} came first")
    me.press("e")
    me.page.get_by_label("Instruction").fill(" ")
    me.wait_ready()
    me.page.keyboard.press("Control+Enter")
    held.pop(0).continue_()
    me.sees_pair(1)
    expect(me.page.get_by_role("alert").first).to_contain_text("The instruction is empty")


def test_a_pair_that_a_colleague_took_meanwhile_gives_way_to_another(
    me: Visitor, room: Room, held: list[Route]
) -> None:
    ReviewLease.objects.filter(run_sample=room.pairs[1]).delete()
    hold(run_sample=room.pairs[1], user=room.owner)
    me.page.keyboard.press("d")
    me.sees_pair(2)
    held.pop(0).continue_()
    me.sees_pair(3)
    me.sees_toast("Dropped: pair 1.")
