"""The token view: shades, figures, and honesty where there are none."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from refinement.method.token_archive import pack
from refinement.method.token_losses import PairedLoss, ResponseTokens, TokenLoss
from refinement.models import Score
from refinement.web.review_tokens import MOST_TOKENS, step_of
from tests.review_room import TIPS, TIPS_RESPONSE, Room, make_room


@pytest.fixture
def room(db: None) -> Room:
    room = make_room()
    room.add(response=TIPS_RESPONSE)
    return room


def keep_tokens(room: Room, response: str, candidate: str | None = None) -> None:
    """Three characters a token, the losses falling from 3 to 0.5 where the instruction helps."""
    places = [(n, min(n + 3, len(response))) for n in range(0, len(response), 3)]
    alone = tuple(TokenLoss(start, end, 3.0) for start, end in places[1:])
    given = tuple(TokenLoss(a, b, 0.5 if n % 2 else 3.5) for n, (a, b) in enumerate(places))
    packed = pack(ResponseTokens(alone=alone, given_instruction=given))
    scores = Score.objects.filter(run_sample=room.pairs[0], candidate__kind=candidate)
    assert scores.update(token_losses=packed) == 1


def show(room: Room, query: str = "?view=tokens") -> str:
    client = Client()
    client.force_login(room.reviewer, backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("review-pair", args=[room.run.pk, room.pairs[0].pk])
    return client.get(url + query).content.decode()


@pytest.mark.parametrize(
    ("alone", "given", "step"),
    [
        (1.0, 1.2, "n"),
        (1.0, 1.0, "0"),
        (1.0, 0.85, "1"),
        (1.0, 0.4, "2"),
        (3.0, 2.0, "3"),
        (3.0, 1.0, "4"),
        (9.0, 0.1, "5"),
        (None, 1.0, "x"),
    ],
)
def test_the_shade_follows_the_gain(alone: float | None, given: float, step: str) -> None:
    assert step_of(PairedLoss(0, 1, alone, given)) == step


def test_original_and_rewrite_stand_under_each_other_with_their_figures(room: Room) -> None:
    keep_tokens(room, TIPS.response)
    keep_tokens(room, TIPS_RESPONSE.response, "response")
    html = show(room)
    original, rewrite = re.findall(r"data-tokens.*?>(.*?)</div>", html, re.DOTALL)
    assert re.sub(r"<[^>]+>", "", original) == TIPS.response
    assert re.sub(r"<[^>]+>", "", rewrite) == TIPS_RESPONSE.response
    assert 'class="tok tok-4" title="3.00 → 0.50"' in original
    assert 'class="tok tok-n" title="3.00 → 3.50"' in original
    assert 'class="tok tok-x" title="– → 3.50"' in original
    assert "style=" not in html


def test_without_stored_losses_it_says_so(room: Room) -> None:
    html = show(room)
    assert html.count("it was scored before the product kept them") == 2
    Score.objects.update(status="unscorable", reason="truncated")
    assert "it could not be scored" in show(room)


def test_a_long_response_is_cut_and_the_rest_on_demand(room: Room) -> None:
    sample = room.pairs[0].sample
    sample.response = "abc" * (MOST_TOKENS + 5)
    sample.save()
    keep_tokens(room, sample.response)
    assert "Show 5 more tokens" in show(room, "?view=tokens&of=original")
    assert "more tokens" not in show(room, "?view=tokens&of=original&full=1")


def test_blanks_are_shown_on_demand(room: Room) -> None:
    assert "three·\u200btips" not in show(room, "?view=plain")
    assert "three·\u200btips" in show(room, "?view=plain&blanks=1")
