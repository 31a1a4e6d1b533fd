"""Asking for the tokens of a pair that has none, from its token view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.contrib import messages
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from refinement.services.errors import ServiceError
from refinement.services.token_wishes import ask_for_tokens
from refinement.web.review_state import Layout, RoomState
from refinement.web.review_ways import pair_for

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.web.http import Request


# Who signs in again after a POST comes back to its address with a GET: lead them to the pair.
@require_http_methods(["GET", "POST"])
def ask(request: Request, run_id: int, run_sample_id: int) -> HttpResponse:
    state = replace(RoomState.from_query(request.GET), layout=Layout.TOKENS)
    address = reverse("review-pair", args=[run_id, run_sample_id]) + state.here()
    if request.method == "GET":
        return redirect(address)
    run_sample = pair_for(request, run_id, run_sample_id, at_least="reviewer")
    try:
        ask_for_tokens(run_sample=run_sample, user=request.user)
    except ServiceError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, gettext("The student is asked; the tokens come by themselves."))
    return redirect(address)


urlpatterns = [
    path("runs/<int:run_id>/review/<int:run_sample_id>/tokens", ask, name="review-tokens"),
]
