"""The queue's panel: its filter as a form, in words, as links, and its named views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html_join
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.utils.translation import gettext, gettext_noop

from refinement.models import Decision, SavedView
from refinement.selectors.kept_statements import kept_statement
from refinement.selectors.queue import FLAGS, Order, Phase, QueueFilter, Show
from refinement.selectors.queue.filters import SCORES
from refinement.selectors.queue.turned import read_policy
from refinement.selectors.review_sharing import reviewer_names
from refinement.templatetags.refinement_ui import mid_sentence
from refinement.web.policy_words import in_words as policy_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.utils.safestring import SafeString

    from refinement.models import Run
    from refinement.selectors.queue.filters import Range

SHOWS = {
    Show.UNDECIDED: gettext_noop("Undecided"),
    Show.DECIDED: gettext_noop("Decided"),
    Show.KEPT: gettext_noop("Kept"),
    Show.DROPPED: gettext_noop("Dropped"),
    Show.FAILED: gettext_noop("Failed"),
    Show.ALL: gettext_noop("All"),
}
ORDERS = {
    Order.POSITION: gettext_noop("In file order"),
    Order.MARGIN: gettext_noop("Closest calls first"),
    Order.IFD: gettext_noop("Highest IFD first"),
    Order.R_IFD: gettext_noop("Lowest r-IFD first"),
    Order.LENGTH: gettext_noop("Longest first"),
    Order.DISAGREEMENT: gettext_noop("Disputed first"),
    Order.RANDOM: gettext_noop("At random"),
}
VERDICTS = {
    "kept": gettext_noop("keeps it"),
    "dropped": gettext_noop("leaves it out"),
    "response_not_accepted": gettext_noop("left out: response not accepted"),
    "ifd_too_high": gettext_noop("left out: IFD too high"),
    "r_ifd_too_high": gettext_noop("left out: r-IFD too high"),
    "none": gettext_noop("none"),
}
DECISIONS = {
    Decision.Action.ACCEPT: gettext_noop("accepted the verdict"),
    Decision.Action.ORIGINAL: gettext_noop("kept the original"),
    Decision.Action.CANDIDATE: gettext_noop("took a rewrite"),
    Decision.Action.EDIT: gettext_noop("edited"),
    Decision.Action.DROP: gettext_noop("dropped"),
}
PHASES = {
    Phase.BOTH: gettext_noop("both rewrites"),
    Phase.INSTRUCTION: gettext_noop("the instruction's only"),
    Phase.RESPONSE: gettext_noop("the response's only"),
    Phase.NONE: gettext_noop("neither"),
}
FLAG_WORDS = {
    "flagged": gettext_noop("flagged by a person"),
    "truncated": gettext_noop("cut for the student"),
    "unscorable": gettext_noop("not scorable"),
    "straddled": gettext_noop("token across the border"),
}
_SELECTED = mark_safe(" selected")
SCORE_WORDS = {"ifd": "IFD", "r_ifd": "r-IFD", "delta_ifd": "Δ IFD", "delta_r_ifd": "Δ r-IFD"}


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that narrows the list, and the link without it."""

    words: str
    without: str


def panel(run: Run, queue: QueueFilter, *, layout: str = "") -> dict[str, Any]:
    """What ``review/_narrow.html`` shows, in two queries."""
    address = reverse("review", args=[run.pk])
    more = {"view": layout} if layout else {}
    cleared = QueueFilter(show=queue.show, order=queue.order)
    return {
        "queue": queue,
        "chips": _chips(queue, address, more),
        "clear_url": _link(address, cleared, more),
        "selects": _selects(queue, reviewer_names(run.project)),
        "ranges": _ranges(queue),
        "saved_views": [
            {
                "view": view,
                "url": f"{address}?{urlencode(view.query)}",
                "current": view.query == queue.as_query(),
            }
            for view in _saved_views(run.project_id)
        ],
        "query": urlencode(queue.as_query()),
    }


@kept_statement
def _saved_views(project_id: int) -> QuerySet[SavedView]:
    return SavedView.objects.filter(project_id=project_id)


def in_words(queue: QueueFilter) -> str:
    """A filter as the end of a sentence: "undecided, IFD from 0.5"."""
    shown = mid_sentence(gettext(SHOWS[queue.show]))
    return ", ".join([shown, *(words for words, _ in _narrowings(queue))])


def _selects(queue: QueueFilter, reviewers: Iterable[str]) -> list[dict[str, Any]]:
    names = {name: name for name in reviewers}
    flags = {flag: FLAG_WORDS[flag] for flag in FLAGS}
    return [
        _select("verdict", gettext("Verdict"), VERDICTS, queue.verdict),
        _select("decision", gettext("Decision"), DECISIONS, queue.decision),
        _select("reviewer", gettext("Decided by"), names, queue.reviewer),
        _select("phase", gettext("The student took"), PHASES, str(queue.phase or "")),
        _select("flag", gettext("Marks"), flags, queue.flag),
    ]


def _ranges(queue: QueueFilter) -> list[dict[str, str]]:
    wanted = dict(queue.ranges)
    found = []
    for name in SCORES:
        bounds = wanted.get(name)
        found.append(
            {
                "name": name,
                "label": SCORE_WORDS[name],
                "low": _number(bounds.low) if bounds else "",
                "high": _number(bounds.high) if bounds else "",
            }
        )
    return found


def _select(name: str, label: str, words: dict[Any, str], chosen: str) -> dict[str, Any]:
    known = {str(value): gettext(text) for value, text in words.items()}
    if chosen and chosen not in known:
        known[chosen] = chosen  # from a link: a code of a policy, somebody who has left
    return {"name": name, "label": label, "options": _options(tuple(known.items()), chosen)}


@lru_cache(maxsize=256)
def _options(choices: tuple[tuple[str, str], ...], chosen: str) -> SafeString:
    """They are the same on nearly every page."""
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((value, _SELECTED if value == chosen else "", text) for value, text in choices),
    )


def _narrowings(queue: QueueFilter) -> list[tuple[str, QueueFilter]]:
    """Each condition in words, with the filter that lacks it."""
    found = []
    if queue.text:
        found.append((f"“{queue.text}”", replace(queue, text="")))
    if queue.verdict:
        known = VERDICTS.get(queue.verdict)
        words = gettext(known) if known else queue.verdict.replace("_", " ")
        words = gettext("verdict: %(words)s") % {"words": words}
        found.append((words, replace(queue, verdict="")))
    if queue.decision:
        words = gettext(DECISIONS[Decision.Action(queue.decision)])
        found.append((words, replace(queue, decision="")))
    if queue.reviewer:
        words = gettext("by %(who)s") % {"who": queue.reviewer}
        found.append((words, replace(queue, reviewer="")))
    if queue.phase is not None:
        words = gettext("took %(what)s") % {"what": gettext(PHASES[queue.phase])}
        found.append((words, replace(queue, phase=None)))
    if queue.flag:
        found.append((gettext(FLAG_WORDS[queue.flag]), replace(queue, flag="")))
    if queue.turned:
        found.append((_turned_words(queue), replace(queue, turned="", against=False)))
    for name, wanted in queue.ranges:
        rest = tuple(pair for pair in queue.ranges if pair[0] != name)
        found.append((_range_words(SCORE_WORDS[name], wanted), replace(queue, ranges=rest)))
    return found


def _range_words(name: str, wanted: Range) -> str:
    low, high = (
        "" if bound is None else number_format(f"{bound:g}") for bound in (wanted.low, wanted.high)
    )
    if low and high:
        return gettext("%(name)s from %(low)s to %(high)s") % {
            "name": name,
            "low": low,
            "high": high,
        }
    if low:
        return gettext("%(name)s from %(low)s") % {"name": name, "low": low}
    return gettext("%(name)s to %(high)s") % {"name": name, "high": high}


def _turned_words(queue: QueueFilter) -> str:
    spec = read_policy(queue.turned)
    policy = policy_in_words(spec) if spec else queue.turned
    words = (
        gettext("against people under “%(policy)s”")
        if queue.against
        else gettext("would turn under “%(policy)s”")
    )
    return words % {"policy": policy}


def _chips(queue: QueueFilter, address: str, more: dict[str, str]) -> list[Chip]:
    return [Chip(words, _link(address, rest, more)) for words, rest in _narrowings(queue)]


def _link(address: str, queue: QueueFilter, more: dict[str, str]) -> str:
    query = urlencode(queue.as_query() | more)
    return f"{address}?{query}" if query else address


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
