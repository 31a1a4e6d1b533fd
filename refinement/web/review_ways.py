"""From one pair of the room to the next: how the address set it up, and what comes after a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from refinement.selectors import access
from refinement.selectors.queue import Show, next_pair, queue_window
from refinement.selectors.review import whole_pair
from refinement.selectors.review_sharing import plan_of
from refinement.services.review_leases import claim_next
from refinement.web.review_blind import blind_state
from refinement.web.review_state import RoomState

if TYPE_CHECKING:
    from refinement.models import Run, RunSample
    from refinement.web.http import Request


def pair_for(
    request: Request, run_id: int, run_sample_id: int, *, at_least: access.Role, whole: bool = False
) -> RunSample:
    """The pair that an address names. Raises NoAccess, also for a pair of another run."""
    read = whole_pair if whole else None
    run_sample = access.run_sample_for(request.user, run_sample_id, at_least=at_least, read=read)
    if run_sample.run_id != run_id:
        raise access.NoAccess(gettext("No such pair in this run."))
    return run_sample


def state_of(request: Request, run: Run) -> RoomState:
    """Blind for every list of a run whose plan is."""
    state = RoomState.from_query(request.GET)
    return blind_state(state) if plan_of(run).blind else state


def first_of(request: Request, run: Run, state: RoomState) -> int | None:
    """The first pair of the queue, leased to those who may decide it."""
    if access.role_of(request.user, run.project) in ("reviewer", "owner"):
        return claim_next(run=run, user=request.user, queue=state.queue)
    return next_pair(run, state.queue)


def next_of(
    request: Request, run_sample: RunSample, state: RoomState, *, ahead: bool = False
) -> int | None:
    """The pair after this one: round the undecided ones, to the end of any other list."""
    run = run_sample.run
    if state.queue.show is Show.UNDECIDED:
        return claim_next(
            run=run, user=request.user, queue=state.queue, after=run_sample, ahead=ahead
        )
    return queue_window(run, state.queue, around=run_sample, before=0, after=1).next_id
