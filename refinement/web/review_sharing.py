"""Who else is at a pair, and taking one's opinion back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from refinement.models import RunSample
from refinement.selectors import access
from refinement.services.errors import ServiceError
from refinement.services.opinions import withdraw_opinion
from refinement.services.review_leases import hold
from refinement.web.review import show_pair
from refinement.web.review_happened import Toast
from refinement.web.review_ways import pair_for

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.web.http import Request


@require_POST
@never_cache
def presence(request: Request, run_id: int, run_sample_id: int) -> HttpResponse:
    """Renew the lease of the pair on screen and say who else is there."""
    run_sample = pair_for(request, run_id, run_sample_id, at_least="reviewer")
    others = hold(run_sample=run_sample, user=request.user)
    context = {"run": run_sample.run, "pair": run_sample, "others": others, "may_decide": True}
    return render(request, "review/_presence.html", context)


@require_http_methods(["GET", "POST"])
def withdraw(request: Request, run_id: int) -> HttpResponse:
    """Take one's opinion on a pair back and show the pair."""
    if request.method == "GET":
        return redirect("review", run_id)
    run = access.run_for(request.user, run_id, at_least="reviewer")
    number = request.POST.get("pair", "")
    run_sample = get_object_or_404(
        RunSample.objects.select_related("run", "sample"),
        pk=int(number) if number.isdecimal() else 0,
        run=run,
    )
    try:
        withdraw_opinion(run_sample=run_sample, user=request.user)
    except ServiceError as error:
        return show_pair(request, run_sample, Toast(str(error), failed=True))
    text = gettext("Taken back: your opinion on pair %(number)s.")
    text %= {"number": run_sample.position + 1}
    return show_pair(request, run_sample, Toast(text))


urlpatterns = [
    path("runs/<int:run_id>/review/<int:run_sample_id>/presence", presence, name="review-presence"),
    path("runs/<int:run_id>/review/withdraw", withdraw, name="withdraw"),
]
