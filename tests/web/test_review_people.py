"""Several reviewers through the pages: presence, opinions, blind mode that leaks nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from refinement.models import Assignment, Decision, Opinion, ReviewLease, ReviewPlan, RunSample
from refinement.services.review_plans import set_plan
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, client_of, make_room

if TYPE_CHECKING:
    from refinement.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    room = make_room()
    for _ in range(3):
        room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE)
    return room


def plan(room: Room, *, people: int = 1, blind: bool = False, seed: int = 7) -> None:
    set_plan(run=room.run, reviewers_per_pair=people, blind=blind, seed=seed, by=room.owner)


def page(user: User, pair: RunSample, query: str = "") -> str:
    url = reverse("review-pair", args=[pair.run_id, pair.pk]) + query
    return client_of(user).get(url).content.decode()


def decide(user: User, pair: RunSample, **data: object) -> str:
    url = reverse("decide", args=[pair.run_id, pair.pk])
    answer = client_of(user).post(url, {"seen": 0} | data, follow=True)
    return str(answer.content.decode())


def side_with(html: str, text: str) -> str:
    """The letter of the side whose text contains ``text``."""
    sides = re.split(r'id="side-([A-C])"', html)
    found = {sides[n]: re.sub(r"<[^>]+>", "", sides[n + 1]) for n in range(1, len(sides), 2)}
    return next(letter for letter, body in found.items() if text in body)


def test_next_leads_two_people_to_two_pairs_and_a_page_says_who_is_there(room: Room) -> None:
    first = client_of(room.reviewer).get(reverse("review", args=[room.run.pk]))
    second = client_of(room.owner).get(reverse("review", args=[room.run.pk]))
    assert first.url != second.url
    html = page(room.owner, room.pairs[0])
    assert f"<strong>{room.reviewer}</strong> is looking at this pair" in html
    url = reverse("review-presence", args=[room.run.pk, room.pairs[1].pk])
    answer = client_of(room.reviewer).post(url).content.decode()
    assert f"<strong>{room.owner}</strong> is looking at this pair" in answer
    assert client_of(room.viewer).post(url).status_code == 403


def test_a_viewer_takes_no_lease_and_a_decision_gives_it_back(room: Room) -> None:
    page(room.viewer, room.pairs[0])
    assert not ReviewLease.objects.exists()
    page(room.reviewer, room.pairs[0])
    decide(room.reviewer, room.pairs[0], action="drop")
    assert not ReviewLease.objects.filter(run_sample=room.pairs[0]).exists()


def test_opinions_are_hidden_until_all_are_in_then_an_owner_settles(room: Room) -> None:
    plan(room, people=2)
    pair = room.pairs[0]
    assert "Your opinion on pair 1: dropped" in decide(room.reviewer, pair, action="drop")
    before = page(room.owner, pair)
    assert "1 opinion is hidden" in before
    assert f"<strong>{room.reviewer}</strong>" not in before.split("opinions__list")[-1]
    decide(room.owner, pair, action="original")
    html = page(room.owner, pair)
    assert "The reviewers differ." in html
    assert "Opinions differ" in html
    decide(room.owner, pair, action="original")
    decision = RunSample.objects.get(pk=pair.pk).decision
    assert decision is not None
    assert decision.basis == Decision.Basis.ADJUDICATION
    assert "dropped" in page(room.reviewer, pair), "now everybody sees who said what"


def test_an_opinion_can_be_taken_back(room: Room) -> None:
    plan(room, people=2)
    decide(room.reviewer, room.pairs[0], action="drop")
    url = reverse("withdraw", args=[room.run.pk])
    answer = client_of(room.reviewer).post(url, {"pair": room.pairs[0].pk}, follow=True)
    assert "Taken back" in answer.content.decode()
    assert not Opinion.objects.filter(is_current=True).exists()


LEAKS = r"(?i)original|rewrit|candidate|verdict|ifd|margin|teacher|student|loss|kept|score"


def test_a_blind_page_says_nothing_of_origin_or_scores(room: Room) -> None:
    plan(room, blind=True)
    for query in ("", "?edit=1", "?of=1&view=side&show=kept&order=margin"):
        html = page(room.reviewer, room.pairs[0], query)
        inside = html[html.index('id="room"') : html.index('id="announcer"')]
        for field in ("instruction", "response"):
            for text in (getattr(v, field) for v in (TIPS_INSTRUCTION, TIPS_RESPONSE)):
                inside = inside.replace(text, "")
        inside = re.sub(r'value="[A-Za-z0-9]{64}"', "", inside)  # tokens against forged requests
        for told in ("what the student thinks of it", "Your text is kept in this browser"):
            inside = inside.replace(told, "")
        assert not re.findall(LEAKS, inside)
        numbers = {str(c.pk) for c in room.pairs[0].candidates.all()}
        values = set(re.findall(r'value="(\d+)"', inside))
        assert not numbers & values - {"0"}


def test_the_seed_shuffles_the_sides_and_every_page_shows_the_same(room: Room) -> None:
    orders = set()
    for seed in range(12):
        plan(room, blind=True, seed=seed)
        html = page(room.reviewer, room.pairs[0])
        assert side_with(html, "evidence-based") == side_with(
            page(room.owner, room.pairs[0]), "evidence-based"
        )
        orders.add((side_with(html, "evidence-based"), side_with(html, "three tips:")))
    assert len(orders) > 2


def test_choosing_a_side_takes_what_stands_under_it(room: Room) -> None:
    plan(room, blind=True)
    pair = room.pairs[0]
    letter = side_with(page(room.reviewer, pair), "evidence-based")
    html = decide(room.reviewer, pair, side=letter)
    assert f"Chose {letter}: pair 1." in html
    decision = RunSample.objects.select_related("decision__candidate").get(pk=pair.pk).decision
    assert decision is not None
    assert decision.candidate == pair.candidates.get(kind="instruction")
    assert "The student's verdict" in page(room.reviewer, pair), "decided: all is shown"


def test_a_blind_edit_starts_from_a_side_and_other_fields_are_refused(room: Room) -> None:
    plan(room, blind=True)
    pair = room.pairs[0]
    letter = side_with(page(room.reviewer, pair), "evidence-based")
    assert "choose one of its sides" in decide(room.reviewer, pair, action="accept")
    candidate = pair.candidates.first()
    assert candidate is not None
    assert "choose one of its sides" in decide(room.reviewer, pair, take=candidate.pk)
    texts = {"instruction": "Short.", "input": "", "response": "Yes."}
    decide(room.reviewer, pair, action="edit", base=letter, **texts)
    decision = RunSample.objects.select_related("decision__candidate").get(pk=pair.pk).decision
    assert decision is not None
    assert decision.candidate is not None
    assert decision.candidate.parent == pair.candidates.get(kind="instruction")


def test_an_owner_plans_assigns_and_frees(room: Room) -> None:
    owner = client_of(room.owner)
    data = {"reviewers_per_pair": 2, "blind": "on", "seed": 5}
    owner.post(reverse("review-plan", args=[room.run.pk]), data)
    found = ReviewPlan.objects.get()
    assert (found.reviewers_per_pair, found.blind, found.seed) == (2, True, 5)
    url = reverse("review-assign", args=[room.run.pk])
    refused = owner.post(url, {"people": [room.owner.pk]})
    assert refused.status_code == 422
    assert "at least so many people" in refused.content.decode()
    owner.post(url, {"people": [room.owner.pk, room.reviewer.pk]})
    assert Assignment.objects.count() == 6
    owner.post(reverse("review-unassign", args=[room.run.pk]), {"user": room.reviewer.pk})
    assert Assignment.objects.count() == 3
    for name in ("review-plan", "review-assign", "review-unassign"):
        url = reverse(name, args=[room.run.pk])
        assert client_of(room.reviewer).post(url, {}).status_code == 403


def test_the_people_page_shows_disputes_progress_and_agreement(room: Room) -> None:
    plan(room, people=2)
    decide(room.reviewer, room.pairs[0], action="drop")
    decide(room.owner, room.pairs[0], action="original")
    url = reverse("review-people", args=[room.run.pk])
    html = client_of(room.owner).get(url).content.decode()
    assert "1 pair on which reviewers differ" in html
    assert "Cohen" in html
    assert ">Settle<" in html
    assert ">Settle<" not in client_of(room.reviewer).get(url).content.decode()


def test_when_colleagues_have_the_rest_the_room_says_so(room: Room) -> None:
    plan(room, people=2)
    for pair in room.pairs:
        decide(room.reviewer, pair, action="drop")
    answer = client_of(room.reviewer).get(reverse("review", args=[room.run.pk]))
    assert "Nothing left for you at the moment" in answer.content.decode()
