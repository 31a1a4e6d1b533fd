"""The queue's panel: its filter as a form, in words, as links, and its named views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.http import urlencode

from refinement.models import Decision, SavedView
from refinement.selectors.queue import FLAGS, Order, Phase, QueueFilter, Show
from refinement.selectors.queue.filters import SCORES
from refinement.selectors.review_sharing import reviewers_of

if TYPE_CHECKING:
    from refinement.models import Run

SHOWS = {
    Show.UNDECIDED: "Undecided",
    Show.DECIDED: "Decided",
    Show.KEPT: "Kept",
    Show.DROPPED: "Dropped",
    Show.FAILED: "Failed",
    Show.ALL: "All",
}
ORDERS = {
    Order.POSITION: "In file order",
    Order.MARGIN: "Closest calls first",
    Order.IFD: "Highest IFD first",
    Order.R_IFD: "Lowest r-IFD first",
    Order.LENGTH: "Longest first",
    Order.DISAGREEMENT: "Disputed first",
    Order.RANDOM: "At random",
}
VERDICTS = {
    "kept": "keeps it",
    "dropped": "leaves it out",
    "response_not_accepted": "left out: response not accepted",
    "ifd_too_high": "left out: IFD too high",
    "r_ifd_too_high": "left out: r-IFD too high",
    "none": "none",
}
DECISIONS = {
    Decision.Action.ACCEPT: "accepted the verdict",
    Decision.Action.ORIGINAL: "kept the original",
    Decision.Action.CANDIDATE: "took a rewrite",
    Decision.Action.EDIT: "edited",
    Decision.Action.DROP: "dropped",
}
PHASES = {
    Phase.BOTH: "both rewrites",
    Phase.INSTRUCTION: "the instruction's only",
    Phase.RESPONSE: "the response's only",
    Phase.NONE: "neither",
}
FLAG_WORDS = {
    "flagged": "flagged by a person",
    "truncated": "cut for the student",
    "unscorable": "not scorable",
    "straddled": "token across the border",
}
SCORE_WORDS = {"ifd": "IFD", "r_ifd": "r-IFD", "delta_ifd": "Δ IFD", "delta_r_ifd": "Δ r-IFD"}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that narrows the list, and the link without it."""

    words: str
    without: str


def panel(run: Run, queue: QueueFilter, *, layout: str = "") -> dict[str, Any]:
    """What ``review/_narrow.html`` shows, in two queries."""
    reviewers = [user.get_username() for user in reviewers_of(run.project)]
    ranges = dict(queue.ranges)
    views = list(SavedView.objects.filter(project=run.project_id).select_related("created_by"))
    address = reverse("review", args=[run.pk])
    more = {"view": layout} if layout else {}
    return {
        "queue": queue,
        "chips": _chips(queue, address, more),
        "clear_url": _link(
            address, replace(QueueFilter(), show=queue.show, order=queue.order), more
        ),
        "selects": [
            _select("verdict", "Verdict", VERDICTS, queue.verdict),
            _select("decision", "Decision", DECISIONS, queue.decision),
            _select(
                "reviewer",
                "Decided by",
                dict(zip(reviewers, reviewers, strict=True)),
                queue.reviewer,
            ),
            _select("phase", "The student took", PHASES, str(queue.phase or "")),
            _select("flag", "Marks", {flag: FLAG_WORDS[flag] for flag in FLAGS}, queue.flag),
        ],
        "ranges": [
            {
                "name": name,
                "label": SCORE_WORDS[name],
                "low": _number(ranges[name].low) if name in ranges else "",
                "high": _number(ranges[name].high) if name in ranges else "",
            }
            for name in SCORES
        ],
        "saved_views": [
            {
                "view": view,
                "url": f"{address}?{urlencode(view.query)}",
                "current": view.query == queue.as_query(),
            }
            for view in views
        ],
        "query": urlencode(queue.as_query()),
    }


def in_words(queue: QueueFilter) -> str:
    """A filter as the end of a sentence: "undecided, IFD from 0.5"."""
    return ", ".join([SHOWS[queue.show].lower(), *(words for words, _ in _narrowings(queue))])


def _select(name: str, label: str, words: dict[Any, str], chosen: str) -> dict[str, Any]:
    known = {str(value): text for value, text in words.items()}
    if chosen and chosen not in known:
        known[chosen] = chosen  # from a link: a code of a policy, somebody who has left
    choices = [Choice(value, text, value == chosen) for value, text in known.items()]
    return {"name": name, "label": label, "choices": choices}


def _narrowings(queue: QueueFilter) -> list[tuple[str, QueueFilter]]:
    """Each condition in words, with the filter that lacks it."""
    found = []
    if queue.text:
        found.append((f"“{queue.text}”", replace(queue, text="")))
    if queue.verdict:
        words = VERDICTS.get(queue.verdict, queue.verdict.replace("_", " "))
        found.append((f"verdict: {words}", replace(queue, verdict="")))
    if queue.decision:
        words = DECISIONS[Decision.Action(queue.decision)]
        found.append((words, replace(queue, decision="")))
    if queue.reviewer:
        found.append((f"by {queue.reviewer}", replace(queue, reviewer="")))
    if queue.phase is not None:
        found.append((f"took {PHASES[queue.phase]}", replace(queue, phase=None)))
    if queue.flag:
        found.append((FLAG_WORDS[queue.flag], replace(queue, flag="")))
    for name, wanted in queue.ranges:
        rest = tuple(pair for pair in queue.ranges if pair[0] != name)
        low = "" if wanted.low is None else f" from {wanted.low:g}"
        high = "" if wanted.high is None else f" to {wanted.high:g}"
        found.append((f"{SCORE_WORDS[name]}{low}{high}", replace(queue, ranges=rest)))
    return found


def _chips(queue: QueueFilter, address: str, more: dict[str, str]) -> list[Chip]:
    return [Chip(words, _link(address, rest, more)) for words, rest in _narrowings(queue)]


def _link(address: str, queue: QueueFilter, more: dict[str, str]) -> str:
    query = urlencode(queue.as_query() | more)
    return f"{address}?{query}" if query else address


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
