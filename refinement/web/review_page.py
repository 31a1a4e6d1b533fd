"""Puts the review room together: what its templates show, and where its links lead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from refinement.models import Decision
from refinement.selectors import access
from refinement.selectors.queue import Show, queue_counts, queue_window
from refinement.selectors.review import last_own_decision, pair_view
from refinement.selectors.review_sharing import held_by_others, plan_of
from refinement.templatetags.refinement_ui import mid_sentence
from refinement.web.queue_panel import ORDERS, SHOWS, panel
from refinement.web.review_blind import blind_context, blind_state, is_blind
from refinement.web.review_figures import choice_cards, score_table
from refinement.web.review_shared import sharing_context, without_others_edits
from refinement.web.review_state import Layout, RoomState
from refinement.web.review_texts import base_of, texts_of
from refinement.web.review_tokens import token_texts

if TYPE_CHECKING:
    from datetime import datetime

    from refinement.models import Candidate, Comment, Run, RunSample, User
    from refinement.selectors.queue import QueueCounts
    from refinement.selectors.review import PairView, Version
    from refinement.services.decisions import DecisionConflict
    from refinement.web.review_forms import Draft
    from refinement.web.review_tokens import TokenText

Action = Decision.Action
_LAYOUTS = {
    Layout.DIFF: gettext_noop("Diff"),
    Layout.SIDE: gettext_noop("Side by side"),
    Layout.PLAIN: gettext_noop("Plain"),
    Layout.TOKENS: gettext_noop("Tokens"),
}


@dataclass(frozen=True, slots=True)
class Toast:
    """What just happened. ``undo`` is the decision that its button takes back, 0: no button.

    ``edited`` is the pair whose edit was saved: its draft in the browser has served. ``opinion`` is
    the pair whose opinion its button takes back.
    """

    text: str
    undo: int = 0
    edited: int = 0
    opinion: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    count: int | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Tab:
    """A link of a small group, of which one is current."""

    label: str
    url: str
    current: bool
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A candidate that can be taken with one press. The one on screen also answers to ``c``."""

    candidate: Candidate
    name: str
    keys: list[str]
    on_screen: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a pair's history: a decision or a comment."""

    at: datetime
    decision: Decision | None = None
    comment: Comment | None = None
    undone_by: Decision | None = None
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Happened:
    """What the request did, for the page that answers it."""

    toasts: tuple[Toast, ...] = ()
    draft: Draft | None = None
    error: str = ""
    conflict: DecisionConflict | None = None
    mine: str = ""  # in words, what the person chose when a colleague had been first
    comment: str = ""  # a comment that was refused


def room_context(
    user: User,
    role: access.Role | None,
    run_sample: RunSample,
    state: RoomState,
    happened: Happened,
) -> dict[str, Any]:
    """All that ``review/_room.html`` shows of one pair."""
    view = pair_view(run_sample)
    run = view.run_sample.run
    plan = plan_of(run)
    view = without_others_edits(view, user, role, plan)
    may_decide = role in ("reviewer", "owner")
    common = {
        **sharing_context(view, user, role, plan),
        "may_decide": may_decide,
        "happened": happened,
    }
    if is_blind(plan, view.run_sample):
        state, counts = blind_state(state), queue_counts(run)
        blind = blind_context(
            user, view, plan, state, happened, counts=counts, may_decide=may_decide
        )
        return {**_frame(run, state, counts), **common, **blind, "blind": True}
    shown = view.version(state.of) or view.primary
    state = replace(state, of=state.of if view.version(state.of) else "")
    window = queue_window(run, state.queue, around=view.run_sample)
    return {
        **_frame(run, state, queue_counts(run)),
        **common,
        "blind": False,
        "view": view,
        "pair": view.run_sample,
        "state": state,
        "here": state.here(),
        "window": window,
        "previous_url": _neighbour(state, run, window.previous_id),
        "next_url": _neighbour(state, run, window.next_id),
        "texts": texts_of(
            view,
            shown=shown,
            against=state.against,
            layout=state.layout,
            full=state.full,
            blanks=state.blanks,
        ),
        "token_texts": (tokens := _token_texts(view, shown, state)),
        "has_tokens": any(text.tokens for text in tokens),
        "blanks_url": replace(state, blanks=not state.blanks).here() or "?",
        "full_url": state.here(full="1"),
        "versions": _version_tabs(view, shown, state),
        "layouts": _layout_tabs(shown, state),
        "bases": _base_tabs(view, shown, state),
        "cards": choice_cards(view.verdict),
        "table": score_table(view),
        "criticisms": [v for v in view.versions if v.candidate and v.candidate.criticism],
        "offers": _offers(view, shown),
        "accept_means": _accept_means(view),
        "editing": may_decide and (state.editing or happened.draft is not None),
        "edit_url": state.here(edit="1"),
        "draft": happened.draft,
        "shown": shown,
        "edit_base": _edit_base(view, shown, happened.draft),
        "timeline": _timeline(view),
        "may_retry": role == "owner",
        "last_own": last_own_decision(run, user) if may_decide else None,
    }


def empty_context(user: User, run: Run, state: RoomState, happened: Happened) -> dict[str, Any]:
    """The room when its filter holds no pair: why, and what to do next."""
    counts = queue_counts(run)
    return {
        **_frame(run, state, counts),
        "state": state,
        "reason": _why_empty(run, state, counts),
        "held": held_by_others(run, user),
        "plan": plan_of(run),
        "poll_url": reverse("review", args=[run.pk]) + state.carry,
        "live": run.status == run.Status.RUNNING and counts.unfinished > 0,
        "last_own": last_own_decision(run, user),
        "may_decide": access.role_of(user, run.project) in ("reviewer", "owner"),
        "happened": happened,
    }


def _frame(run: Run, state: RoomState, counts: QueueCounts) -> dict[str, Any]:
    return {
        "run": run,
        "project": run.project,
        "carry": state.carry,
        "counts": counts,
        "shows": [
            Option(show, gettext(label), counts.of(show), chosen=show is state.queue.show)
            for show, label in SHOWS.items()
        ],
        "orders": [
            Option(order, gettext(label), None, chosen=order is state.queue.order)
            for order, label in ORDERS.items()
        ],
        "panel": panel(
            run, state.queue, layout="" if state.layout is Layout.DIFF else state.layout
        ),
        "narrowed": {
            name: value
            for name, value in state.queue.as_query().items()
            if name not in ("show", "order")
        },
        "messages": [],  # the room shows them itself, with their undo
    }


def _why_empty(run: Run, state: RoomState, counts: QueueCounts) -> str:
    if state.queue.show is not Show.UNDECIDED:
        return "filter"
    if counts.all == 0 and counts.unfinished:
        return "waiting" if run.status == run.Status.RUNNING else "stopped"
    if counts.undecided:
        return "held"
    return "ahead" if counts.unfinished else "finished"


def _neighbour(state: RoomState, run: Run, run_sample_id: int | None) -> str:
    return state.pair_url(run.pk, run_sample_id) if run_sample_id else ""


def _version_tabs(view: PairView, shown: Version, state: RoomState) -> list[Tab]:
    return [
        Tab(
            label=version.name,
            url=state.here(of=version.key) or "?",
            current=version is shown,
            version=version,
        )
        for version in view.versions
    ]


def _layout_tabs(shown: Version, state: RoomState) -> list[Tab]:
    return [
        Tab(
            label=gettext(label),
            url=replace(state, layout=layout).here() or "?",
            current=layout is (_alone(state.layout) if shown.is_original else state.layout),
        )
        for layout, label in _LAYOUTS.items()
        if not (shown.is_original and layout in (Layout.DIFF, Layout.SIDE))
    ]


def _alone(layout: Layout) -> Layout:
    """How the original is shown: there is nothing to compare it with."""
    return Layout.TOKENS if layout is Layout.TOKENS else Layout.PLAIN


def _token_texts(view: PairView, shown: Version, state: RoomState) -> list[TokenText]:
    """What the version on screen is compared with, and itself below it."""
    if state.layout is not Layout.TOKENS:
        return []
    base = base_of(view, shown, state.against)
    return token_texts([base, shown] if base else [shown], full=state.full)


def _base_tabs(view: PairView, shown: Version, state: RoomState) -> list[Tab]:
    """What the version on screen may be compared with, where there is a choice."""
    parent = view.version(shown.parent_key)
    if shown.is_original or parent is None or parent.is_original:
        return []
    by_parent = state.against == "parent"
    return [
        Tab(
            label=gettext("the original"), url=state.here(against="") or "?", current=not by_parent
        ),
        Tab(
            label=mid_sentence(parent.name),
            url=state.here(against="parent"),
            current=by_parent,
        ),
    ]


def _offers(view: PairView, shown: Version) -> list[Offer]:
    """The two rewrites, and the edit on screen if it is one."""
    target = view.primary if shown.is_original else shown
    offers = []
    for version in view.versions:
        if version.candidate is None or (version.is_edit and version is not target):
            continue
        keys = [] if version.is_edit else [version.key]
        offers.append(
            Offer(
                candidate=version.candidate,
                name=version.name,
                keys=[*keys, "c"] if version is target else keys,
                on_screen=version is target,
            )
        )
    return offers


def _edit_base(view: PairView, shown: Version, draft: Draft | None) -> Version:
    """What the editor started from: what was on screen, or what a refused edit says."""
    if draft is None:
        return shown
    started = (v for v in view.versions if v.candidate and v.candidate.pk == draft.base)
    return next(started, view.original)


def _accept_means(view: PairView) -> str:
    """What accepting the verdict would keep, in a word or two; empty where there is none."""
    if not view.judged or view.verdict is None:
        return ""
    if not view.verdict.kept:
        return "nothing"
    return next(mid_sentence(version.name) for version in view.versions if version.chosen)


def _timeline(view: PairView) -> list[Entry]:
    """Decisions and comments together, the latest first."""
    decided = [
        Entry(
            at=row.created_at,
            decision=row,
            undone_by=getattr(row, "undone_by", None),
            counts=row == view.decision,
        )
        for row in view.history
    ]
    said = [Entry(at=comment.created_at, comment=comment) for comment in view.comments]
    return sorted(decided + said, key=lambda entry: entry.at, reverse=True)
