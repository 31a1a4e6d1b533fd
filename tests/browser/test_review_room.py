"""The review room in a real browser: every decision by key and by mouse, and what keeps it safe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from refinement.models import Decision, RunSample
from refinement.services.decisions import record_decision
from tests.browser.visitor import Visitor, light_and_dark
from tests.review_room import PASSWORD, TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Route
    from pytest_django.live_server_helper import LiveServer


pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def room(transactional_db: None) -> Room:
    room = make_room()
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    room.fill(3)
    return room


@pytest.fixture
def arrive(
    live_server: LiveServer, visit: Callable[..., Visitor], room: Room
) -> Callable[..., Visitor]:
    """A reviewer (or somebody else) at the first pair."""

    def open_room(username: str = "", query: str = "", **options: object) -> Visitor:
        visitor = visit(live_server.url, **options)
        visitor.enter(username or room.reviewer.username)
        visitor.open_review(room.run.pk, query)
        return visitor

    return open_room


def counting(pair: RunSample) -> Decision | None:
    return RunSample.objects.select_related("decision__candidate").get(pk=pair.pk).decision


def said(pair: RunSample) -> tuple[str, str]:
    """The action that counts, and the kind of candidate it took."""
    decision = counting(pair)
    if decision is None:
        return "", ""
    return decision.action, decision.candidate.kind if decision.candidate else ""


DECISIONS = [
    ("a", "Accept", ("accept", "")),
    ("o", "Original", ("original", "")),
    ("c", "Rewrite 2", ("candidate", "response")),
    ("1", "Rewrite 1", ("candidate", "instruction")),
    ("2", "Rewrite 2", ("candidate", "response")),
    ("d", "Drop", ("drop", "")),
]


def test_every_decision_by_key_and_by_mouse(room: Room, arrive: Callable[..., Visitor]) -> None:
    room.fill(2 * len(DECISIONS))
    me = arrive()
    me.page.evaluate("window.sameDocument = true")
    number = 0
    for key, label, expected in DECISIONS:
        for act, how in ((me.press, key), (me.click, label)):
            me.sees_pair(number + 1)
            act(how)
            me.sees_pair(number + 2)
            me.wait_ready()  # the pair is painted before the server has answered
            assert said(room.pairs[number]) == expected, (key, label)
            number += 1
    assert me.page.evaluate("window.sameDocument"), "a decision reloaded the page"
    assert me.page.url.endswith(f"/review/{room.pairs[number].pk}")
    expect(me.page.locator(".queue__done")).to_contain_text(
        f"{number} of {len(room.pairs)} decided"
    )


@light_and_dark
def test_an_edit_by_keyboard_alone(room: Room, arrive: Callable[..., Visitor]) -> None:
    me = arrive()
    me.press("e")
    response = me.page.get_by_label("Response")
    expect(response).to_have_value(TIPS_RESPONSE.response)
    response.press("Control+End")
    me.page.keyboard.type("\n4. Laugh: d, o, a.")
    me.wait_ready()
    me.page.keyboard.press("Control+Enter")
    me.sees_pair(2)
    me.sees_toast("Edited: pair 1.")
    decision = counting(room.pairs[0])
    assert decision is not None
    assert decision.candidate is not None
    assert decision.candidate.response == TIPS_RESPONSE.response + "\n4. Laugh: d, o, a."
    assert decision.candidate.instruction == TIPS_RESPONSE.instruction
    assert me.page.evaluate("Object.keys(localStorage).filter(k => k.includes('draft'))") == []
    me.page.goto(f"/runs/{room.run.pk}/review/{room.pairs[0].pk}")
    expect(me.page.locator(".passage--human ins").last).to_contain_text("4. Laugh: d, o, a")


def test_a_draft_outlives_a_reload_and_an_escape(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive()
    me.press("e")
    response = me.page.get_by_label("Response")
    response.fill("Half a thought")
    me.page.reload()
    expect(response).to_have_value("Half a thought")
    expect(me.page.get_by_text("Your unsaved text of")).to_be_visible()
    response.press("Escape")
    expect(me.page.locator("#do-edit")).to_contain_text("unsaved text")
    assert counting(room.pairs[0]) is None
    me.press("e")
    expect(response).to_have_value("Half a thought")
    me.page.get_by_role("button", name="Start again from Rewrite 2").click()
    expect(response).to_have_value(TIPS_RESPONSE.response)
    response.press("Escape")
    expect(me.page.locator("#do-edit")).to_contain_text("write it yourself")


def test_a_refused_edit_says_why_and_loses_nothing(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive(query="?show=all")
    me.expected_statuses.add(422)
    me.press("e")
    me.page.get_by_label("Instruction").fill("   ")
    me.page.get_by_label("Response").fill("Mine.")
    me.wait_ready()
    me.page.get_by_role("button", name="Save the edit").click()
    expect(me.page.get_by_role("alert")).to_contain_text("The instruction is empty")
    expect(me.page.get_by_label("Response")).to_have_value("Mine.")
    assert counting(room.pairs[0]) is None


def test_undo_by_key_by_toast_and_from_the_history(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive()
    me.press("d")
    me.sees_pair(2)
    me.press("o")
    me.sees_pair(3)
    me.press("u")
    me.sees_pair(2)
    me.sees_toast("Undone for pair 2: kept the original.")
    me.press("u")
    me.sees_pair(1)
    assert counting(room.pairs[0]) is None
    expect(me.page.locator("#do-undo")).to_be_disabled()
    me.press("a")
    me.sees_toast("Accepted the verdict: pair 1.")
    me.page.locator(".room-toasts").get_by_role("button", name="Undo").click()
    me.sees_pair(1)
    me.sees_toast("Undone for pair 1: accepted the verdict.")
    record_decision(run_sample=room.pairs[0], user=room.owner, action="drop")
    me.page.reload()
    me.page.get_by_role("button", name="Undo this").click()
    me.sees_toast("Undone for pair 1: dropped.")
    assert counting(room.pairs[0]) is None
    actions = room.pairs[0].decisions.values_list("action", flat=True)
    assert list(actions) == ["drop", "undo", "accept", "undo", "drop", "undo"]


def test_undo_brings_back_from_the_end(room: Room, arrive: Callable[..., Visitor]) -> None:
    for pair in room.pairs[1:]:
        record_decision(run_sample=pair, user=room.owner, action="accept")
    me = arrive()
    me.press("d")
    expect(me.page.get_by_role("heading", name="All 4 pairs are decided")).to_be_visible()
    expect(me.page.get_by_role("link", name="Export the selection")).to_be_visible()
    me.press("u")
    me.sees_pair(1)
    assert counting(room.pairs[0]) is None


def test_comments_by_keyboard(room: Room, arrive: Callable[..., Visitor]) -> None:
    me = arrive()
    me.press("m")
    me.page.keyboard.type("Is do and accept odd? 12")
    assert room.pairs[0].comments.count() == 0
    me.page.keyboard.press("Control+Enter")
    me.sees_toast("Comment saved.")
    me.sees_pair(1)
    expect(me.page.locator(".timeline")).to_contain_text("Is do and accept odd? 12")
    assert counting(room.pairs[0]) is None
    me.press("a")
    me.sees_pair(2)


def test_the_keys_are_shown_and_then_mean_nothing_else(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive()
    me.press("?")
    keys = me.page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    me.page.keyboard.press("d")
    me.page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    me.sees_pair(1)
    assert not Decision.objects.exists()


def test_keys_that_decide_nothing(room: Room, arrive: Callable[..., Visitor]) -> None:
    """Backspace, modifiers, capitals and typing in a field are never a decision."""
    me = arrive()
    me.wait_ready()
    for key in (
        "Backspace",
        "Delete",
        "Enter",
        "Control+d",
        "Alt+d",
        "Meta+d",
        "Shift+D",
        "Control+a",
    ):
        me.page.keyboard.press(key)
    me.page.keyboard.press("/")
    expect(me.page.get_by_label("Which pairs")).to_be_focused()
    me.page.keyboard.press("Escape")
    me.press("m")
    me.page.keyboard.type("adoc12ueu")
    me.page.keyboard.press("Backspace")
    me.page.keyboard.press("Escape")
    me.press("j")  # the request that would follow a decision, were there one
    me.sees_pair(2)
    assert not Decision.objects.exists()


def test_a_held_key_and_a_double_tap_decide_once(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive()
    me.wait_ready()
    for _ in range(8):
        me.page.keyboard.down("d")  # what a keyboard sends while the key is held
    me.page.keyboard.up("d")
    me.sees_pair(2)
    me.wait_ready()
    me.page.keyboard.press("o")
    me.page.keyboard.press("o")
    me.sees_pair(3)
    me.wait_ready()
    me.page.locator("#do-drop").focus()
    for _ in range(8):
        me.page.keyboard.down("Enter")
    me.page.keyboard.up("Enter")
    me.sees_pair(4)
    me.wait_ready()
    assert [pair.decisions.count() for pair in room.pairs] == [1, 1, 1, 0]


@light_and_dark
def test_going_through_the_queue_versions_and_layouts(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive()
    me.press("s")
    expect(me.page.locator(".sides")).to_have_count(2)
    me.press("j")
    me.sees_pair(2)
    expect(me.page.locator(".sides").first).to_be_visible()  # the layout goes along
    me.press("k")
    me.sees_pair(1)
    me.press("n")
    expect(me.page.locator("[data-version][aria-current]")).to_contain_text("Original")
    me.press("p")
    me.press("p")
    expect(me.page.locator("[data-version][aria-current]")).to_contain_text("Rewrite 1")
    expect(me.middle).to_contain_text("evidence-based")
    me.press("c")
    me.sees_pair(2)
    me.wait_ready()
    assert said(room.pairs[0]) == ("candidate", "instruction")
    me.page.go_back()
    me.sees_pair(1)
    me.press("/")
    me.page.keyboard.type("Decided")
    me.sees_pair(1)
    expect(me.page.locator(".queue__list .line")).to_have_count(1)
    me.press("/")
    me.page.keyboard.type("All")
    expect(me.page.locator(".queue__list .line")).to_have_count(4)
    me.tab_to(me.page.get_by_label("In which order"))
    me.page.keyboard.type("Closest")
    me.page.wait_for_url("**order=margin**")
    numbers = me.page.locator(".line__number").all_inner_texts()
    assert numbers == ["1", "4", "3", "2"]
    me.page.locator(".queue__list .line", has_text="Question 0").click()
    me.sees_pair(2)


def test_a_filter_chosen_while_a_pair_is_on_its_way(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    """Whether the way leads on or back: what was chosen on the page that left is not forgotten."""
    me = arrive()
    me.press("d")
    me.sees_pair(2)
    me.wait_ready()
    me.page.route("**/review/*", _late)
    me.page.evaluate("document.querySelector('[rel=next]').click(); " + _CHOOSE.format(show="all"))
    expect(me.page.locator(".queue__list .line")).to_have_count(4)
    me.press("j")
    me.sees_pair(2)
    me.page.evaluate(
        "addEventListener('popstate', () => {"
        + _CHOOSE.format(show="decided")
        + "}, {once: true}); history.back()"
    )
    expect(me.page.locator(".queue__list .line")).to_have_count(1)


_CHOOSE = (
    "const select = document.querySelector('[name=show]'); select.value = '{show}'; "
    "select.dispatchEvent(new Event('change', {{bubbles: true}}));"
)


def _late(route: Route) -> None:
    time.sleep(0.3)
    route.continue_()


def test_long_texts_unfold(room: Room, arrive: Callable[..., Visitor]) -> None:
    pair = room.add(type(TIPS)(instruction="Go on.", response="word " * 3000 + "the end"))
    me = arrive()
    me.page.goto(f"/runs/{room.run.pk}/review/{pair.pk}")
    expect(me.page.get_by_role("link", name="Show all 15,007 characters")).to_be_visible()
    assert me.page.locator("[data-folded]").bounding_box()["height"] < 600
    me.press("f")
    expect(me.page.locator("[data-folded]")).to_have_count(0)
    assert me.page.locator(".passage--response").bounding_box()["height"] > 1500


def test_what_happened_is_said_and_the_focus_stays_useful(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive()
    expect(me.title).to_be_focused()
    me.press("d")
    expect(me.page.locator("#announcer")).to_contain_text("Dropped: pair 1. Pair 2")
    expect(me.title).to_be_focused()
    assert me.page.title().startswith("Pair 2")
    me.wait_ready()
    me.page.locator("#do-original").focus()
    me.page.keyboard.press("Enter")
    me.sees_pair(3)
    me.wait_ready()  # until then the pair before is there too, hidden
    expect(me.page.locator("#do-original")).to_be_focused()


def test_two_reviewers_at_the_same_pair(
    room: Room,
    arrive: Callable[..., Visitor],
    live_server: LiveServer,
    visit: Callable[..., Visitor],
) -> None:
    one, other = arrive(), visit(live_server.url)
    other.enter(room.owner.username)
    other.page.goto(one.page.url)  # by its link: the queue would give a pair that nobody holds
    other.expected_statuses.add(409)
    one.press("d")
    one.sees_pair(2)
    other.press("o")
    conflict = other.page.get_by_role("alert")
    expect(conflict).to_contain_text(f"{room.reviewer.username} came first")
    expect(conflict).to_contain_text("Dropped")
    expect(conflict).to_contain_text("Kept the original")
    assert said(room.pairs[0]) == ("drop", "")
    other.press("o")
    other.sees_pair(3)  # the second is in the first reviewer's hands
    other.wait_ready()
    assert said(room.pairs[0]) == ("original", "")
    assert room.pairs[0].decisions.count() == 2


def test_a_server_that_went_away_or_a_session_that_ended_is_told(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive()
    me.wait_ready()
    me.page.context.set_offline(True)
    me.page.keyboard.press("d")
    expect(me.page.locator(".toasts")).to_contain_text("the server cannot be reached")
    me.page.context.set_offline(False)
    assert all("INTERNET_DISCONNECTED" in t or "console error: htmx:" in t for t in me.troubles)
    me.troubles.clear()
    me.expected_words.add("INTERNET_DISCONNECTED")  # a line of then may come late
    me.press("e")
    me.page.get_by_label("Response").fill("Not lost")
    Session.objects.all().delete()
    me.wait_ready()
    me.page.keyboard.press("Control+Enter")
    me.page.get_by_label("Username").fill(room.reviewer.username)
    me.page.get_by_label("Password").fill(PASSWORD)
    me.page.get_by_role("button", name="Sign in").click()
    expect(me.page.get_by_label("Response")).to_have_value("Not lost")
    assert not Decision.objects.exists()


def test_the_first_pair_arrives_by_itself(
    live_server: LiveServer, visit: Callable[..., Visitor]
) -> None:
    room = make_room()
    room.add(state="ready")
    me = visit(live_server.url)
    me.enter(room.reviewer.username)
    me.open_review(room.run.pk)
    expect(me.page.get_by_role("heading", name="The first pair is on its way")).to_be_visible()
    room.add(response=TIPS_RESPONSE)
    me.sees_pair(2)
    assert me.page.url.endswith(f"/review/{room.pairs[1].pk}")


def test_reading_and_deciding_without_javascript(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    me = arrive(java_script_enabled=False)
    me.sees_pair(1)
    expect(me.middle.locator("ins").first).to_be_visible()
    me.page.get_by_role("link", name="Side by side").click()
    expect(me.page.locator(".sides").first).to_be_visible()
    me.page.locator("#do-drop").click()
    me.sees_pair(2)
    me.sees_toast("Dropped: pair 1.")
    expect(me.page.locator(".sides").first).to_be_visible()
    me.page.locator(".room-toasts").get_by_role("button", name="Undo").click()
    me.sees_pair(1)
    assert counting(room.pairs[0]) is None
    me.page.locator("#do-edit").click()
    me.page.get_by_label("Response").fill("By hand.")
    me.page.get_by_role("button", name="Save the edit").click()
    me.sees_pair(2)
    assert said(room.pairs[0]) == ("edit", "edit")
    me.page.get_by_label("Which pairs").select_option("decided")
    me.page.get_by_role("button", name="Show").click()
    me.sees_pair(1)
    expect(me.page.locator("[data-key='?']")).to_be_hidden()


def test_a_small_screen_has_the_bar_at_the_thumb(
    room: Room, arrive: Callable[..., Visitor]
) -> None:
    size = {"width": 390, "height": 844}
    me = arrive(viewport=size, has_touch=True, is_mobile=True)
    assert me.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    bar = me.page.locator(".decide").bounding_box()
    assert bar is not None
    assert bar["y"] + bar["height"] == pytest.approx(size["height"], abs=1)
    for name in ("Accept", "Original", "Rewrite 2", "Edit", "Drop"):
        box = me.choice(name).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, name
    me.wait_ready()
    me.page.locator("#do-drop").tap()
    me.sees_pair(2)
    expect(me.shown.locator(".queue__list")).to_be_visible()


@light_and_dark
def test_a_viewer_can_read_all_of_it(room: Room, arrive: Callable[..., Visitor]) -> None:
    me = arrive(room.viewer.username)
    me.sees_pair(1)
    expect(me.page.locator(".decide")).to_contain_text("role of reviewer")
    me.press("d")
    me.press("j")
    me.sees_pair(2)
    assert not Decision.objects.exists()
