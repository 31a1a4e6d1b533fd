"""Acts on a whole list with their safety net, the history, named views: by mouse and keyboard."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from refinement.models import RunSample, SavedView
from refinement.services.bulk_acts import perform
from refinement.services.decisions import record_decision
from refinement.services.dispatch import delivered_to
from tests.browser.visitor import Visitor, light_and_dark
from tests.review_room import Room, make_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def room(transactional_db: None) -> Room:
    room = make_room()
    room.fill(6)
    record_decision(run_sample=room.pairs[0], user=room.reviewer, action="original")
    record_decision(run_sample=room.pairs[1], user=room.reviewer, action="drop")
    return room


@pytest.fixture
def at_once() -> Iterator[None]:
    """The worker's task of a bulk act, in the process that asks for it."""
    with delivered_to(lambda _task, act_id: perform(act_id=act_id)):
        yield


@pytest.fixture
def me(live_server: LiveServer, visit: Callable[..., Visitor], room: Room) -> Visitor:
    visitor = visit(live_server.url)
    visitor.enter(room.owner.username)
    return visitor


def counting(room: Room) -> list[str]:
    rows = RunSample.objects.filter(run=room.run).order_by("position")
    return [action or "" for action in rows.values_list("decision__action", flat=True)]


def downloaded(page: Page, name: str) -> Path:
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    return Path(download.value.path())


@light_and_dark
@pytest.mark.usefixtures("at_once")
def test_by_keyboard_a_whole_list_is_counted_shown_dropped_and_taken_back(
    me: Visitor, room: Room
) -> None:
    me.open_review(room.run.pk, "?order=margin")
    me.press("w")
    me.enter_on(me.page.get_by_role("link", name="Act on all of this list"))
    expect(me.page.locator(".bulk__count")).to_have_text("4 pairs")
    expect(me.page.locator(".bulk__sample li")).to_have_count(4)
    me.tab_to(me.page.get_by_role("radio").first)
    drop = me.page.get_by_role("radio", name="Drop")
    while not drop.is_checked():
        me.page.keyboard.press("ArrowDown")
    me.enter_on(me.page.get_by_role("button", name="Do it to 4 pairs"))
    acts = me.page.locator(".history__acts tbody tr")
    expect(acts).to_contain_text("4 of 4")
    assert counting(room) == ["original", "drop", "drop", "drop", "drop", "drop"]
    me.enter_on(me.page.get_by_role("button", name="Undo all of it"))
    expect(acts).to_contain_text("4 taken back")
    assert counting(room) == ["original", "drop", "", "", "", ""]


@pytest.mark.usefixtures("at_once")
def test_the_history_is_exported_and_any_point_of_it_restored(me: Visitor, room: Room) -> None:
    other = make_room("Elsewhere")
    record_decision(run_sample=other.add(), user=other.owner, action="drop")
    record_decision(run_sample=room.pairs[0], user=room.owner, action="drop")
    me.page.goto(f"/runs/{room.run.pk}/history")
    rows = me.page.locator(".history__decisions tbody tr")
    expect(rows).to_have_count(3)
    lines = downloaded(me.page, "JSON Lines").read_text("utf-8").splitlines()
    said = [(r["pair"], r["action"], r["counts"]) for r in map(json.loads, lines)]
    assert said == [(1, "original", False), (2, "drop", True), (1, "drop", True)]
    table = list(csv.DictReader(downloaded(me.page, "CSV").read_text("utf-8").splitlines()))
    assert [row["user"] for row in table] == [*[room.reviewer.username] * 2, room.owner.username]
    rows.nth(2).get_by_role("button", name="Back to here").click()
    expect(me.page.locator(".history__acts tbody tr")).to_contain_text("Restore")
    assert counting(room)[:2] == ["original", ""]
    me.page.get_by_role("button", name="Undo all of it").click()
    expect(me.page.locator(".history__acts tbody tr")).to_contain_text("taken back")
    assert counting(room)[:2] == ["drop", "drop"]


def test_a_view_is_saved_opened_and_forgotten(me: Visitor, room: Room) -> None:
    me.open_review(room.run.pk, "?show=decided&order=length")
    me.press("w")
    me.page.get_by_label("Name of the view").fill("Long and decided")
    me.page.get_by_label("Name of the view").press("Enter")
    me.sees_toast("Saved as “Long and decided”")
    assert SavedView.objects.get().query == {"show": "decided", "order": "length"}
    me.page.goto(f"/runs/{room.run.pk}/review")
    me.press("w")
    me.page.get_by_role("link", name="Long and decided", exact=True).click()
    me.page.wait_for_url("**show=decided&order=length")
    me.press("w")
    me.page.get_by_role("button", name="Forget the view Long and decided").click()
    me.sees_toast("The view “Long and decided” is forgotten")
    assert not SavedView.objects.exists()
