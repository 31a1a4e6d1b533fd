"""The next pair, there before it is asked for.

While a pair is read, the page fetches the one after it (``fetch``). It paints that one as soon as a
decision leaves, and tells so with the header ``SRT-Ahead``: the server then answers with what has
changed around it alone (``catch_up``), or, where the pair is no longer this person's, as to
everybody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from refinement.selectors import access
from refinement.selectors.blind import is_blind
from refinement.selectors.opinions import last_opinion
from refinement.selectors.queue import queue_counts, queue_window
from refinement.selectors.review import last_own_decision, whole_pair
from refinement.selectors.review_sharing import others_at, plan_of
from refinement.services.review_leases import take_up
from refinement.web.review_blind import blind_queue, blind_state
from refinement.web.review_frame import frame, queue_list
from refinement.web.review_happened import Happened
from refinement.web.review_page import room_context
from refinement.web.review_ways import next_of, pair_for, state_of

if TYPE_CHECKING:
    from typing import Any

    from refinement.models import RunSample
    from refinement.web.http import Request
    from refinement.web.review_happened import Toast
    from refinement.web.review_state import RoomState

HEADER = "SRT-Ahead"


@require_GET
@never_cache
def fetch(request: Request, run_id: int, run_sample_id: int) -> HttpResponse:
    """The room of the pair after this one, leased as fetched ahead; 204: nothing comes after it."""
    run_sample = pair_for(request, run_id, run_sample_id, at_least="reviewer")
    state = state_of(request, run_sample.run)
    found = next_of(request, run_sample, state, ahead=True)
    pair = whole_pair(found) if found is not None else None
    if pair is None:
        return HttpResponse(status=204)
    role = access.role_of(request.user, run_sample.run.project)
    others = others_at(pair, request.user)
    context = room_context(request.user, role, pair, state.for_another, Happened(), others)
    fragment = "review/_blind.html" if context["blind"] else "review/_room.html"
    return render(request, fragment, context | {"alone": True})


def catch_up(request: Request, state: RoomState, run: Any, toast: Toast) -> HttpResponse | None:
    """The answer to a page that shows the next pair already; ``None``: it shows none it may."""
    number = request.headers.get(HEADER, "")
    if not (request.htmx and number.isascii() and number.isdecimal()):
        return None
    taken = take_up(run=run, user=request.user, run_sample_id=int(number), queue=state.queue)
    if taken is None:
        return None
    pair, others = taken
    context = _around(request, pair, state.for_another)
    context |= {"others": others, "happened": Happened(toasts=(toast,))}
    response = render(request, "review/_caught_up.html", context)
    response[HEADER] = str(pair.pk)
    response["HX-Reswap"] = "none"
    response["HX-Push-Url"] = state.pair_url(run.pk, pair.pk)
    return response


def _around(request: Request, pair: RunSample, state: RoomState) -> dict[str, Any]:
    """All of the room but the pair itself."""
    run, plan = pair.run, plan_of(pair.run)
    blind = is_blind(plan, pair)
    state = blind_state(state) if blind else state
    around = frame(run, state, queue_counts(run))
    if blind:
        around |= blind_queue(pair, state)
    else:
        around |= queue_list(run, queue_window(run, state.queue, around=pair), state)
    several = plan.reviewers_per_pair > 1
    return around | {
        "pair": pair,
        "blind": blind,
        "several": several,
        "may_decide": True,
        "last_own": last_own_decision(run, request.user),
        "last_opinion": last_opinion(run, request.user) if several else None,
    }


urlpatterns = [
    path("runs/<int:run_id>/review/<int:run_sample_id>/next", fetch, name="review-next"),
]
