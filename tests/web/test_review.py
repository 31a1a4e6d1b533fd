"""The review room over HTTP: who may, what is shown, what a decision does, and htmx."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.urls import reverse

from refinement.method.pairs import Pair, Turn
from refinement.models import Decision, Run, RunSample, Score, User
from refinement.services.decisions import add_comment, record_decision, undo_decision
from tests.review_room import TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from django.http import HttpResponse
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "HX-Boosted": "true", "HX-Target": "room"}


@pytest.fixture
def room() -> Room:
    room = make_room()
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    room.fill(2)
    return room


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client(room: Room) -> Client:
    return signed_in(room.reviewer)


def url(name: str, pair: RunSample, query: str = "") -> str:
    return reverse(name, args=[pair.run_id, pair.pk]) + query


def text_of(response: HttpResponse) -> str:
    """What a reader sees, on one line."""
    body = re.sub(r"<(script|style|title)\b.*?</\1>|<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", unescape(body))


def decide(client: Client, pair: RunSample, query: str = "", **data: Any) -> Any:
    data = {"seen": 0} | data
    return client.post(url("decide", pair, query), data)


def counting(pair: RunSample) -> Decision | None:
    return RunSample.objects.select_related("decision").get(pk=pair.pk).decision


# -- Who may --------------------------------------------------------------------------------------


def test_strangers_find_nothing_and_change_nothing(room: Room) -> None:
    pair, stranger = room.pairs[0], make_room("Elsewhere").owner
    client = signed_in(stranger)
    assert client.get(reverse("review", args=[room.run.pk])).status_code == 404
    assert client.get(url("review-pair", pair)).status_code == 404
    assert decide(client, pair, action="drop").status_code == 404
    assert client.post(url("comment", pair), {"text": "Hi"}).status_code == 404
    assert client.post(reverse("undo", args=[room.run.pk]), {"decision": 1}).status_code == 404
    assert not pair.decisions.exists()


def test_a_viewer_reads_and_may_not_decide(room: Room) -> None:
    pair, client = room.pairs[0], signed_in(room.viewer)
    page = client.get(url("review-pair", pair))
    assert page.status_code == 200
    assert "role of reviewer" in text_of(page)
    assert url("decide", pair) not in page.content.decode()
    assert decide(client, pair, action="drop").status_code == 403
    assert client.post(url("comment", pair), {"text": "Hi"}).status_code == 403
    assert client.post(reverse("undo", args=[room.run.pk]), {"decision": 1}).status_code == 403
    assert not pair.decisions.exists()
    assert not pair.comments.exists()


def test_the_editor_is_not_for_viewers(room: Room) -> None:
    page = signed_in(room.viewer).get(url("review-pair", room.pairs[0], "?edit=1"))
    assert b"<textarea" not in page.content


def test_signed_out_people_are_led_to_the_door(room: Room) -> None:
    response = Client().get(url("review-pair", room.pairs[0]))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("login"))


def test_a_pair_of_another_run_is_not_found(room: Room, client: Client) -> None:
    other = make_room("Other")
    pair = other.add()
    assert client.get(reverse("review-pair", args=[room.run.pk, pair.pk])).status_code == 404
    theirs = record_decision(run_sample=pair, user=other.owner, action="drop")
    undo = client.post(reverse("undo", args=[room.run.pk]), {"decision": theirs.pk})
    assert undo.status_code == 404
    assert counting(pair) == theirs


# -- What is shown --------------------------------------------------------------------------------


def test_the_queue_leads_to_its_first_pair(room: Room, client: Client) -> None:
    response = client.get(reverse("review", args=[room.run.pk]) + "?order=margin&view=side")
    assert response.status_code == 302
    assert response["Location"] == url("review-pair", room.pairs[0], "?order=margin&view=side")


def test_one_page_has_all_that_a_decision_needs(room: Room, client: Client) -> None:
    page = client.get(url("review-pair", room.pairs[0]))
    words, html = text_of(page), page.content.decode()
    assert "<ins>Here are three tips:" in html
    for expected in (
        "0.70 → 0.52",
        "0.62 → 0.71",
        "Kept: the rewritten response was accepted",
        "Took the rewritten response: r-IFD went from 0.70 to 0.52",
        "asks for little knowledge",
        "1.922",
        "4 calls",
        "1,624 tokens",
        "house-teacher, prompts 1",
        "0 of 3 decided",
        "under the template vicuna",
    ):
        assert expected in words, expected


@pytest.mark.parametrize(
    ("query", "has", "lacks"),
    [
        ("", ["<ins>", "Compared with"], ["sides__name"]),
        ("?view=side", ["<ins>", "sides__name"], []),
        ("?view=plain", ["Here are three tips:"], ["<ins>", "<del"]),
        ("?of=original", ["3. Get enough sleep."], ["<ins>", "<del", "Side by side"]),
        ("?of=1", ["evidence-based", '<del class="replaced">'], []),
        ("?of=2&against=parent", ["<del"], []),
        ("?of=e99&view=nonsense&full=1", ["<ins>"], []),
    ],
)
def test_layouts_and_versions(
    room: Room, client: Client, query: str, has: list[str], lacks: list[str]
) -> None:
    html = client.get(url("review-pair", room.pairs[0], query)).content.decode()
    middle = html[html.index('class="pair"') : html.index('class="facts"')]
    assert all(part in middle for part in has)
    assert not any(part in middle for part in lacks)


def test_hostile_text_stays_text(room: Room, client: Client) -> None:
    evil = Pair(
        instruction="</textarea><script>alert(1)</script>{{ user }}",
        input="\n\n  two lines down",
        response="<img src=x onerror=alert(1)> \u202eright\x07",
    )
    pair = room.add(evil, response=Pair(instruction=evil.instruction, response="<b>&amp;"))
    for query in ("", "?view=side", "?view=plain", "?of=original", "?edit=1"):
        html = client.get(url("review-pair", pair, query)).content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert not re.search(r"<[^>]*onerror", html)
        assert "{{ user }}" in html
    shown = client.get(url("review-pair", pair, "?of=original")).content.decode()
    assert "⟦RLO⟧right\u2407" in shown
    editor = client.get(url("review-pair", pair, "?edit=1&of=original")).content.decode()
    assert ">\n\n\n  two lines down</textarea>" in editor  # a browser drops the first line end


def test_very_long_texts_are_folded_and_at_last_cut(room: Room, client: Client) -> None:
    long = room.add(Pair(instruction="Go on.", response="word " * 2_000))
    html = client.get(url("review-pair", long)).content.decode()
    assert "data-folded" in html
    assert "Show all 10,000 characters" in html
    assert html.count("word ") >= 2_000
    huge = room.add(
        Pair(instruction="Go on.", response="word " * 40_000),
        response=Pair(instruction="Go on.", response="word " * 40_000 + "end"),
    )
    folded = client.get(url("review-pair", huge))
    assert len(folded.content) < 120_000
    whole = client.get(url("review-pair", huge, "?full=1")).content.decode()
    assert whole.count("word ") >= 40_000
    assert "data-folded" not in whole
    assert "<ins>end</ins>" in whole


def test_failed_working_and_unscorable_pairs_show_what_is_there(room: Room, client: Client) -> None:
    failed = room.add(state="failed", error="The teacher refused twice.")
    words = text_of(client.get(url("review-pair", failed)))
    assert "Reflect on the instruction failed (refusal). The teacher refused twice." in words
    assert "no verdict yet" in words
    owners = signed_in(room.owner).get(url("review-pair", failed)).content.decode()
    assert reverse("run-retry", args=[room.run.pk]) in owners
    assert "This pair is still in work" in text_of(
        client.get(url("review-pair", room.add(state="ready")))
    )
    odd = room.add()
    Score.objects.filter(run_sample=odd).update(
        status="unscorable", reason="too_short", ifd=None, loss_response=None, truncated=True
    )
    words = text_of(client.get(url("review-pair", odd)))
    assert "Original: not scorable, too short to have a loss." in words
    assert "cut off at the student's context length" in words
    assert "–" in words


def test_context_history_and_comments(room: Room, client: Client) -> None:
    context = (Turn("system", "Be terse."),)
    pair = room.add(Pair(instruction="Go on.", response="No.", context=context))
    record_decision(run_sample=pair, user=room.owner, action="drop")
    undo_decision(run_sample=pair, user=room.reviewer)
    add_comment(run_sample=pair, user=room.owner, text="Is <this> fair?")
    words = text_of(client.get(url("review-pair", pair)))
    assert "Be terse." in words
    assert f"{room.reviewer.username} undid: dropped ({room.owner.username})" in words
    assert "Is <this> fair?" in words


def test_pages_keep_to_a_strict_content_policy(room: Room, client: Client) -> None:
    for query in ("", "?edit=1"):
        html = client.get(url("review-pair", room.pairs[0], query)).content.decode()
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)", html)


def test_a_page_costs_the_same_however_long_the_run_is(
    room: Room, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(28) as few:
        client.get(url("review-pair", room.pairs[0]))
    room.fill(30)
    for number in range(3):
        edit = Pair(instruction="Say it.", response=str(number))
        record_decision(run_sample=room.pairs[0], user=room.owner, action="edit", edit=edit)
        add_comment(run_sample=room.pairs[0], user=room.owner, text="Hm.")
    with django_assert_max_num_queries(len(few)):
        client.get(url("review-pair", room.pairs[0]))


# -- Deciding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "action"),
    [
        ({"action": "accept"}, "accept"),
        ({"action": "original"}, "original"),
        ({"action": "drop"}, "drop"),
    ],
)
def test_a_plain_form_decides_and_goes_on(
    room: Room, client: Client, data: dict[str, str], action: str
) -> None:
    first, second, _ = room.pairs
    response = decide(client, first, "?view=side", **data)
    assert response.status_code == 302
    assert response["Location"] == url("review-pair", second, "?view=side")
    decision = counting(first)
    assert decision is not None
    assert (decision.action, decision.user) == (action, room.reviewer)
    page = client.get(response["Location"])
    assert "pair 1." in text_of(page)
    assert f'name="decision" value="{decision.pk}"' in page.content.decode()
    assert "pair 1." not in text_of(client.get(response["Location"]))  # said once


def test_a_candidates_button_takes_it(room: Room, client: Client) -> None:
    candidate = room.pairs[0].candidates.get(kind="instruction")
    decide(client, room.pairs[0], take=candidate.pk)
    decision = counting(room.pairs[0])
    assert decision is not None
    assert decision.candidate == candidate
    foreign = room.pairs[1].candidates.first()
    assert foreign is not None
    refused = decide(client, room.pairs[2], take=foreign.pk)
    assert refused.status_code == 422
    assert "belongs to another pair" in text_of(refused)


def test_an_edit_is_saved_with_the_line_ends_of_its_base(room: Room, client: Client) -> None:
    dos = Pair(instruction="Two\r\nlines", input="kept\r\n", response="unix\nlines")
    pair = room.add(dos)
    typed = {
        "instruction": "Two\r\nlines",
        "input": "kept\r\n",
        "response": "unix\r\nlines, longer",
    }
    assert decide(client, pair, action="edit", **typed).status_code == 302
    decision = counting(pair)
    assert decision is not None
    assert decision.candidate is not None
    made = decision.candidate
    assert (made.instruction, made.input, made.response) == (
        "Two\r\nlines",
        "kept\r\n",
        "unix\nlines, longer",
    )


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"instruction": "", "response": "Kept text"}, "The instruction is empty"),
        ({"instruction": "Kept text", "response": "a\0b"}, "Null characters are not allowed"),
        (
            {"instruction": TIPS.instruction, "response": TIPS.response.replace("\n", "\r\n")},
            "Nothing was changed",
        ),
    ],
)
def test_a_refused_edit_keeps_what_was_typed(
    room: Room, client: Client, typed: dict[str, str], says: str
) -> None:
    response = decide(client, room.pairs[0], action="edit", **typed)
    assert response.status_code == 422
    assert says in text_of(response)
    html = response.content.decode()
    assert "<textarea" in html
    kept = typed["instruction"] or typed["response"]
    assert kept in unescape(html)
    assert counting(room.pairs[0]) is None


def test_a_very_large_edit_is_told_its_limit(room: Room, client: Client) -> None:
    response = decide(
        client, room.pairs[0], action="edit", instruction="漢" * 1_000_001, response="x"
    )
    assert response.status_code == 422
    assert "1,000,002 characters" in text_of(response)


def test_what_does_not_fit_the_pair_is_said(room: Room, client: Client) -> None:
    pair = room.add(state="ready")
    for data, says in (
        ({"action": "accept"}, "not finished judging"),
        ({"action": "explode"}, "Choose accept"),
        ({"action": "drop", "seen": "x"}, "out of date"),
        ({"action": "edit", "base": "99999", "instruction": "a", "response": "b"}, "another pair"),
    ):
        response = decide(client, pair, **data)
        assert response.status_code == 422
        assert says in text_of(response), data
    assert counting(pair) is None


def test_the_undecided_queue_goes_round_and_ends(room: Room, client: Client) -> None:
    first, second, third = room.pairs
    assert decide(client, second, action="drop")["Location"] == url("review-pair", third)
    assert decide(client, third, action="drop")["Location"] == url("review-pair", first)
    end = decide(client, first, action="accept")["Location"]
    assert end == reverse("review", args=[room.run.pk])
    words = text_of(client.get(end))
    assert "All 3 pairs are decided" in words
    assert "1 kept, 2 left out" in words
    assert "pair 1." in words


def test_other_lists_end_where_they_end(room: Room, client: Client) -> None:
    last = room.pairs[2]
    response = decide(client, last, "?show=all", action="drop")
    assert response["Location"] == url("review-pair", last, "?show=all")
    assert "That was the last pair of this list." in text_of(client.get(response["Location"]))


def test_a_colleague_who_was_first_is_shown_beside_ones_own_choice(
    room: Room, client: Client
) -> None:
    pair = room.pairs[0]
    theirs = record_decision(run_sample=pair, user=room.owner, action="drop")
    response = decide(client, pair, action="original")
    assert response.status_code == 409
    words = text_of(response)
    assert f"{room.owner.username} came first" in words
    assert "Dropped" in words
    assert "Kept the original" in words
    assert counting(pair) == theirs
    assert f'name="seen" value="{theirs.pk}"' in response.content.decode()
    assert decide(client, pair, action="original", seen=theirs.pk).status_code == 302
    assert pair.decisions.count() == 2


def test_a_conflicting_edit_stays_in_the_editor(room: Room, client: Client) -> None:
    pair = room.pairs[0]
    edit = Pair(instruction="Theirs?", response="Their answer.")
    record_decision(run_sample=pair, user=room.owner, action="edit", edit=edit)
    response = decide(client, pair, action="edit", instruction="Mine?", response="My answer.")
    assert response.status_code == 409
    words = text_of(response)
    assert "My answer." in words
    assert "Their answer." in words


# -- Undo and comments ----------------------------------------------------------------------------


def test_undo_shows_the_pair_again(room: Room, client: Client) -> None:
    first, second, _ = room.pairs
    decide(client, first, action="drop")
    decision = counting(first)
    assert decision is not None
    page = client.get(url("review-pair", second)).content.decode()
    assert "your last: pair 1" in page
    response = client.post(
        reverse("undo", args=[room.run.pk]) + "?show=all", {"decision": decision.pk}
    )
    assert response["Location"] == url("review-pair", first, "?show=all")
    assert counting(first) is None
    assert "Undone for pair 1: dropped." in text_of(client.get(response["Location"]))


def test_an_undo_that_comes_too_late_says_why(room: Room, client: Client) -> None:
    pair = room.pairs[0]
    mine = record_decision(run_sample=pair, user=room.reviewer, action="drop")
    record_decision(run_sample=pair, user=room.owner, action="original")
    address = reverse("undo", args=[room.run.pk])
    response = client.post(address, {"decision": mine.pk}, follow=True)
    assert f"{room.owner.username} kept the original" in text_of(response)
    for nothing in ("0", "", "-1", "x"):
        assert client.post(address, {"decision": nothing}).status_code == 404


def test_comments_are_kept_or_given_back(room: Room, client: Client) -> None:
    pair = room.pairs[0]
    response = client.post(url("comment", pair, "?of=1"), {"text": "Fair?\r\nYes."}, follow=True)
    assert "Comment saved." in text_of(response)
    assert pair.comments.get().text == "Fair?\nYes."
    refused = client.post(url("comment", pair), {"text": "x" * 5001})
    assert refused.status_code == 422
    assert "5,001" in text_of(refused)
    assert "x" * 5001 in refused.content.decode()


@pytest.mark.parametrize("name", ["decide", "comment"])
def test_coming_back_from_signing_in_leads_to_the_pair(
    room: Room, client: Client, name: str
) -> None:
    pair = room.pairs[0]
    assert client.get(url(name, pair))["Location"] == url("review-pair", pair)
    undo = client.get(reverse("undo", args=[room.run.pk]))
    assert undo["Location"] == reverse("review", args=[room.run.pk])


# -- Empty lists ----------------------------------------------------------------------------------


def test_each_empty_state_says_why_and_what_next(client: Client, room: Room) -> None:
    empty = make_room("Empty")
    theirs = signed_in(empty.reviewer)
    address = reverse("review", args=[empty.run.pk])
    empty.add(state="ready")
    waiting = theirs.get(address)
    assert "The first pair is on its way" in text_of(waiting)
    assert 'hx-trigger="every 2s"' in waiting.content.decode()
    assert "No pair in this list" in text_of(theirs.get(address + "?show=failed"))
    Run.objects.filter(pk=empty.run.pk).update(status="cancelled")
    stopped = theirs.get(address)
    assert "The run is cancelled" in text_of(stopped)
    assert "hx-trigger" not in stopped.content.decode()
    Run.objects.filter(pk=empty.run.pk).update(status="running")
    pair = empty.add()
    decide(theirs, pair, action="accept")
    assert "You are ahead of the machines" in text_of(theirs.get(address))


# -- htmx -----------------------------------------------------------------------------------------


def test_htmx_gets_the_room_alone_and_its_address(room: Room, client: Client) -> None:
    first, second, _ = room.pairs
    whole = client.get(url("review-pair", first))
    assert b"<!doctype html>" in whole.content
    assert "HX-Request" in whole["Vary"]
    assert "no-store" in whole["Cache-Control"]
    alone = client.get(url("review-pair", first, "?view=side&of=1"), headers=HTMX)
    assert b"<!doctype" not in alone.content
    assert b"<title>Pair 1" in alone.content
    assert alone["HX-Push-Url"] == url("review-pair", first, "?view=side&of=1")
    followed = client.post(
        url("decide", first), {"action": "drop", "seen": 0}, headers=HTMX, follow=True
    )
    assert followed["HX-Push-Url"] == url("review-pair", second)
    assert "Dropped: pair 1." in text_of(followed)
    back = client.get(
        url("review-pair", first), headers=HTMX | {"HX-History-Restore-Request": "true"}
    )
    assert b"<!doctype html>" in back.content
    editor = client.get(url("review-pair", first, "?edit=1"), headers=HTMX)
    assert editor["HX-Push-Url"] == url("review-pair", first, "?edit=1")
