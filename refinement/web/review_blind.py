"""The room in blind mode: the versions of a pair as sides A, B, C, and no word of their origin.

Nothing that tells a side's origin goes into the page: no score, verdict, criticism, id, length of
list or title of the queue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, gettext_noop

from refinement.models import Decision
from refinement.selectors.blind import BLIND_SHOWS, FIELDS, sides_of
from refinement.selectors.queue import Order, QueueFilter, Show, queue_window
from refinement.web.diff import Change, Segment, diff_words
from refinement.web.review_texts import TITLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

    from refinement.models import ReviewPlan, RunSample
    from refinement.selectors.review import PairView, Version
    from refinement.web.review_happened import Happened
    from refinement.web.review_state import RoomState


@dataclass(frozen=True, slots=True)
class Passage:
    field: str
    title: str
    html: SafeString
    length: int


@dataclass(frozen=True, slots=True)
class Side:
    """One version under a letter. ``version`` is for the server alone; no template shows it."""

    letter: str
    version: Version
    passages: list[Passage]


def blind_state(state: RoomState) -> RoomState:
    """The state without what would sort or filter pairs by a score or a verdict."""
    show = state.queue.show if state.queue.show in BLIND_SHOWS else Show.UNDECIDED
    return replace(state, queue=QueueFilter(show=show, order=Order.POSITION), against="original")


def blind_context(
    view: PairView, plan: ReviewPlan, state: RoomState, happened: Happened
) -> dict[str, Any]:
    """What ``review/_blind.html`` shows of its own."""
    sides = sides_of(view, plan)
    base = happened.draft.side if happened.draft else state.of
    base = base if base in sides else next(iter(sides))
    return {
        **blind_queue(view.run_sample, state),
        "here": state.query(),
        "sides": _drawn(sides),
        "edit_letter": base,
        "edit_pair": sides[base].pair,
        "edit_urls": [(letter, state.query(edit="1", of=letter)) for letter in sides],
    }


def blind_queue(pair: RunSample, state: RoomState) -> dict[str, Any]:
    """The list beside a blind pair: numbers alone."""
    run = pair.run
    window = queue_window(run, state.queue, around=pair)
    neighbours = (window.previous_id, window.next_id)
    previous_url, next_url = (state.pair_url(run.pk, pk) if pk else "" for pk in neighbours)
    return {
        "lines": [
            (line.position, reverse("review-pair", args=[run.pk, line.run_sample_id]), line.current)
            for line in window.lines
        ],
        "previous_url": previous_url,
        "next_url": next_url,
        "shows": [(show, gettext(_SHOWS[show]), show is state.queue.show) for show in BLIND_SHOWS],
    }


_SHOWS = {
    Show.UNDECIDED: gettext_noop("Undecided"),
    Show.DECIDED: gettext_noop("Decided"),
    Show.ALL: gettext_noop("All"),
}


def said_blind(action: str, letter: str) -> str:
    """What somebody chose, in the words of the blind room."""
    if action == Decision.Action.DROP:
        return gettext("dropped")
    if action == Decision.Action.EDIT:
        return gettext("edited")
    if not letter:
        return gettext("chose another version")
    return gettext("chose %(letter)s") % {"letter": letter}


def _drawn(sides: dict[str, Version]) -> list[Side]:
    """Each side's texts; what it does not share with its neighbour is marked, on both alike."""
    drawn = []
    versions = list(sides.values())
    for place, (letter, version) in enumerate(sides.items()):
        other = versions[place - 1] if place else versions[min(1, len(versions) - 1)]
        passages = [
            _passage(name, getattr(version.pair, name), getattr(other.pair, name))
            for name in FIELDS
            if name != "input" or any(v.pair.input for v in versions)
        ]
        drawn.append(Side(letter=letter, version=version, passages=passages))
    return drawn


def _passage(name: str, text: str, other: str) -> Passage:
    own = [s for s in diff_words(other, text) if s.change is not Change.DELETE]
    return Passage(field=name, title=gettext(TITLES[name]), html=_html(own), length=len(text))


def _html(segments: Sequence[Segment]) -> SafeString:
    if not segments:
        return format_html('<span class="nothing">{}</span>', gettext("empty"))
    return format_html_join("", "{}", ((_marked(segment),) for segment in segments))


def _marked(segment: Segment) -> str:
    if segment.change is Change.EQUAL or segment.blank:
        return segment.visible
    return format_html('<mark class="differs">{}</mark>', segment.visible)
