"""The token view: figures by keyboard, and tokens that nobody kept, read when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from refinement.method.token_archive import pack
from refinement.method.token_losses import ResponseTokens, TokenLoss
from refinement.models import Score, TokenWish
from refinement.services.token_wishes import keep_tokens, refuse_tokens
from tests.browser.visitor import Visitor, light_and_dark
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django.live_server_helper import LiveServer


pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PLACES = [(n, n + 5) for n in range(0, 60, 5)]
PACKED = pack(
    ResponseTokens(
        alone=tuple(TokenLoss(a, b, 3.0) for a, b in PLACES),
        given_instruction=tuple(TokenLoss(a, b, n / 8) for n, (a, b) in enumerate(PLACES)),
    )
)


@pytest.fixture
def room(transactional_db: None) -> Room:
    room = make_room()
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    return room


@pytest.fixture
def me(live_server: LiveServer, visit: Callable[..., Visitor], room: Room) -> Visitor:
    visitor = visit(live_server.url)
    visitor.enter(room.reviewer.username)
    return visitor


def look(me: Visitor, room: Room) -> None:
    me.page.goto(f"/runs/{room.run.pk}/review/{room.pairs[0].pk}?view=tokens")


@light_and_dark
def test_the_figures_of_tokens_by_arrow_keys(me: Visitor, room: Room) -> None:
    Score.objects.update(token_losses=PACKED)
    look(me, room)
    me.tab_to(me.page.locator("[data-tokens] .tok").first)
    figures = me.page.locator("[data-token-figures]")
    expect(figures).to_contain_text("alone 3.00 · given the instruction 0.00 · lowered by 3.00")
    me.page.keyboard.press("ArrowRight")
    expect(figures).to_contain_text("lowered by 2.88")
    me.page.keyboard.press("End")
    expect(figures).to_contain_text("lowered by 1.62")
    expect(me.page.locator("[data-tokens]").first.locator('.tok[tabindex="0"]')).to_have_count(1)


def test_tokens_that_nobody_kept_are_asked_for_and_appear(me: Visitor, room: Room) -> None:
    """What the student's worker does meanwhile is in tests/pipeline/test_token_scoring.py."""
    pair, ask = room.pairs[0], me.page.get_by_role("button", name="Let the student read the tokens")
    look(me, room)
    expect(me.page.locator("[data-tokens]")).to_have_count(0)
    ask.click()
    reading = me.page.get_by_text("The student is reading this pair.")
    expect(reading).to_be_visible()
    expect(ask).to_have_count(0)
    assert TokenWish.objects.get().run_sample_id == pair.pk

    refuse_tokens(run_sample_id=pair.pk, error="The student's files are gone.")
    expect(me.page.get_by_role("alert")).to_contain_text("The student's files are gone.")
    ask.click()
    expect(reading).to_be_visible()

    scores = Score.objects.filter(run_sample=pair)
    keep_tokens(run_sample_id=pair.pk, packed={score.pk: PACKED or b"" for score in scores})
    expect(me.page.locator("[data-tokens] .tok").first).to_be_visible()
    expect(reading).to_have_count(0)
