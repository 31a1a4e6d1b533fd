"""What stands round any pair of the room: the queue's head; and the room without a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext

from refinement.selectors import access
from refinement.selectors.queue import Show, queue_counts
from refinement.selectors.review import last_own_decision
from refinement.selectors.review_sharing import held_by_others, plan_of
from refinement.web.queue_lines import lines_html
from refinement.web.queue_panel import ORDERS, SHOWS, panel
from refinement.web.review_state import Layout

if TYPE_CHECKING:
    from refinement.models import Run, User
    from refinement.selectors.queue import QueueCounts, QueueWindow
    from refinement.web.review_happened import Happened
    from refinement.web.review_state import RoomState


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    count: int | None
    chosen: bool


def empty_context(user: User, run: Run, state: RoomState, happened: Happened) -> dict[str, Any]:
    """The room when its filter holds no pair: why, and what to do next."""
    counts = queue_counts(run)
    return {
        **frame(run, state, counts),
        "reason": _why_empty(run, state, counts),
        "held": held_by_others(run, user),
        "plan": plan_of(run),
        "poll_url": reverse("review", args=[run.pk]) + state.carry,
        "live": run.status == run.Status.RUNNING and counts.unfinished > 0,
        "last_own": last_own_decision(run, user),
        "may_decide": access.role_of(user, run.project) in ("reviewer", "owner"),
        "happened": happened,
    }


def frame(run: Run, state: RoomState, counts: QueueCounts) -> dict[str, Any]:
    """The queue's head: its counts, filter and order, and what goes along in every link."""
    return {
        "run": run,
        "project": run.project,
        "state": state,
        "here": state.here(),
        "carry": state.carry,
        "counts": counts,
        "lease_seconds": f"{settings.REVIEW_LEASE_SECONDS:.0f}",
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


def queue_list(run: Run, window: QueueWindow, state: RoomState) -> dict[str, Any]:
    """The list below the queue's head."""
    return {"window": window, "lines": lines_html(run, window.lines, state.carry)}


def _why_empty(run: Run, state: RoomState, counts: QueueCounts) -> str:
    if state.queue.show is not Show.UNDECIDED:
        return "filter"
    if counts.all == 0 and counts.unfinished:
        return "waiting" if run.status == run.Status.RUNNING else "stopped"
    if counts.undecided:
        return "held"
    return "ahead" if counts.unfinished else "finished"
