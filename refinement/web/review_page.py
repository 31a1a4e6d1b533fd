"""Puts the review room together: what its templates show, and where its links lead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refinement.models import TokenWish
from refinement.selectors.blind import is_blind, without_others_edits
from refinement.selectors.queue import queue_counts, queue_window
from refinement.selectors.review import last_own_decision, pair_view
from refinement.selectors.review_sharing import plan_of
from refinement.web.review_blind import blind_context, blind_state
from refinement.web.review_choices import accept_means, edit_base, offers_of
from refinement.web.review_figures import choice_cards, score_table
from refinement.web.review_frame import frame, queue_list
from refinement.web.review_shared import sharing_context
from refinement.web.review_state import Layout
from refinement.web.review_tabs import base_tabs, layout_tabs, version_tabs
from refinement.web.review_texts import base_of, texts_of
from refinement.web.review_timeline import timeline_of
from refinement.web.review_tokens import token_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.models import ReviewLease, Run, RunSample, User
    from refinement.selectors import access
    from refinement.selectors.review import PairView, Version
    from refinement.web.review_happened import Happened
    from refinement.web.review_state import RoomState
    from refinement.web.review_tokens import TokenText


def room_context(
    user: User,
    role: access.Role | None,
    run_sample: RunSample,
    state: RoomState,
    happened: Happened,
    others: Sequence[ReviewLease],
) -> dict[str, Any]:
    """All that ``review/_room.html`` (or ``_blind.html``) shows of one pair.

    ``others`` have it open too.
    """
    view = pair_view(run_sample)
    run = view.run_sample.run
    plan = plan_of(run)
    view = without_others_edits(view, user, role, plan)
    may_decide = role in ("reviewer", "owner")
    common = {
        **sharing_context(view, user, role, plan),
        "others": others,
        "pair": view.run_sample,
        "seen": view.decision.pk if view.decision else 0,
        "may_decide": may_decide,
        "may_retry": role == "owner",
        "last_own": last_own_decision(run, user) if may_decide else None,
        "happened": happened,
        "draft": happened.draft,
        "editing": may_decide and (state.editing or happened.draft is not None),
        "counts": (counts := queue_counts(run)),
    }
    if is_blind(plan, view.run_sample):
        state = blind_state(state)
        blind = blind_context(view, plan, state, happened)
        return {**frame(run, state, counts), **common, **blind, "blind": True}
    shown = view.version(state.of) or view.primary
    state = replace(state, of=state.of if view.version(state.of) else "")
    return {
        **frame(run, state, counts),
        **common,
        **_neighbours(run, view, state),
        **_middle(view, shown, state),
        **_facts(view),
        "blind": False,
        "view": view,
        "shown": shown,
        "offers": offers_of(view, shown),
        "accept_means": accept_means(view),
        "edit_base": edit_base(view, shown, happened.draft),
    }


def _neighbours(run: Run, view: PairView, state: RoomState) -> dict[str, Any]:
    """The list on the left, and the links to the pairs before and after."""
    window = queue_window(run, state.queue, around=view.run_sample)
    previous_url, next_url = (
        state.pair_url(run.pk, pk) if pk else "" for pk in (window.previous_id, window.next_id)
    )
    return {**queue_list(run, window, state), "previous_url": previous_url, "next_url": next_url}


def _middle(view: PairView, shown: Version, state: RoomState) -> dict[str, Any]:
    """The texts of the version on screen, and the links that show them otherwise."""
    tokens = _token_texts(view, shown, state)
    texts = texts_of(
        view,
        shown=shown,
        against=state.against,
        layout=state.layout,
        full=state.full,
        blanks=state.blanks,
    )
    return {
        "texts": texts,
        "token_texts": tokens,
        "has_tokens": any(text.tokens for text in tokens),
        "token_wish": TokenWish.objects.filter(run_sample=view.run_sample).first()
        if tokens
        else None,
        "lacks_tokens": any(text.lacks for text in tokens),
        "versions": version_tabs(view, shown, state),
        "layouts": layout_tabs(shown, state),
        "bases": base_tabs(view, shown, state),
        "blanks_url": replace(state, blanks=not state.blanks).here() or "?",
        "full_url": state.here(full="1"),
        "edit_url": state.here(edit="1"),
    }


def _facts(view: PairView) -> dict[str, Any]:
    """The column on the right: figures, criticism, history."""
    return {
        "cards": choice_cards(view.verdict),
        "table": score_table(view),
        "criticisms": [v for v in view.versions if v.candidate and v.candidate.criticism],
        "timeline": timeline_of(view),
    }


def _token_texts(view: PairView, shown: Version, state: RoomState) -> list[TokenText]:
    """What the version on screen is compared with, and itself below it."""
    if state.layout is not Layout.TOKENS:
        return []
    base = base_of(view, shown, state.against)
    return token_texts([base, shown] if base else [shown], full=state.full)
