"""The review room: one pair after another, decided, explained and undone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from refinement.models import Decision, RunSample
from refinement.selectors import access
from refinement.selectors.blind import is_blind, sides_of, without_others_edits
from refinement.selectors.queue import Show
from refinement.selectors.review import pair_view
from refinement.selectors.review_sharing import plan_of
from refinement.services.decisions import DecisionConflict, add_comment, undo_decision
from refinement.services.errors import ServiceError
from refinement.services.review_leases import hold
from refinement.web.review_ahead import catch_up
from refinement.web.review_forms import DecisionForm
from refinement.web.review_frame import empty_context
from refinement.web.review_happened import Happened, Toast
from refinement.web.review_page import room_context
from refinement.web.review_saying import say, words_of
from refinement.web.review_state import RoomState
from refinement.web.review_ways import first_of, next_of, pair_for, state_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.models import ReviewPlan, User
    from refinement.selectors.review import Version
    from refinement.web.http import Request

# In a message's tags: the decision that its button takes back, the pair whose edit was saved, the
# pair whose opinion its button takes back.
_TAGS = re.compile(r"undo-(\d+) edited-(\d+) opinion-(\d+)")


@require_GET
@never_cache
def review(request: Request, run_id: int) -> HttpResponse:
    """On to the first pair of the queue, or say why there is none."""
    run = access.run_for(request.user, run_id)
    state = state_of(request, run)
    found = first_of(request, run, state)
    if found is not None:
        return redirect(state.pair_url(run.pk, found))
    context = empty_context(request.user, run, state, Happened(toasts=_toasts(request)))
    return _answer(request, context, "review/_empty.html")


@require_GET
@never_cache
def pair(request: Request, run_id: int, run_sample_id: int) -> HttpResponse:
    run_sample = pair_for(request, run_id, run_sample_id, at_least="viewer", whole=True)
    return _room(request, run_sample, Happened(toasts=_toasts(request)))


# Who signs in again after a POST comes back to its address with a GET: lead them to the pair.
@require_http_methods(["GET", "POST"])
def decide(request: Request, run_id: int, run_sample_id: int) -> HttpResponse:
    if request.method == "GET":
        return redirect("review-pair", run_id, run_sample_id)
    run_sample = pair_for(request, run_id, run_sample_id, at_least="reviewer")
    plan = plan_of(run_sample.run)
    sides = _sides(request.user, run_sample, plan)
    form = DecisionForm(request.POST, run_sample=run_sample, sides=sides)
    if not form.is_valid():
        return _refused(request, run_sample, form, form.complaint)
    data = form.cleaned_data
    try:
        toast = say(run_sample=run_sample, user=request.user, plan=plan, data=data, sides=sides)
    except DecisionConflict as conflict:
        mine = words_of(data["action"], data["candidate"], sides)
        happened = Happened(draft=form.draft, conflict=conflict, mine=mine)
        return _room(request, run_sample, happened, status=409)
    except ServiceError as error:
        return _refused(request, run_sample, form, str(error))
    return _onward(request, run_sample, toast)


@require_http_methods(["GET", "POST"])
def undo(request: Request, run_id: int) -> HttpResponse:
    """Take one decision back, by its number, and show its pair."""
    if request.method == "GET":
        return redirect("review", run_id)
    run = access.run_for(request.user, run_id, at_least="reviewer")
    number = request.POST.get("decision", "")
    decision = get_object_or_404(
        Decision.objects.select_related("run_sample__sample", "run_sample__run"),
        pk=int(number) if number.isdecimal() else 0,
        run=run,
    )
    run_sample = decision.run_sample
    try:
        undo_decision(run_sample=run_sample, user=request.user, seen=decision.pk)
    except ServiceError as error:
        return show_pair(request, run_sample, Toast(str(error), failed=True))
    sides = _sides(request.user, RunSample.objects.get(pk=run_sample.pk), plan_of(run))
    what = words_of(decision.action, decision.candidate, sides)
    return show_pair(
        request,
        run_sample,
        Toast(
            gettext("Undone for pair %(position)s: %(what)s.")
            % {"position": run_sample.position + 1, "what": what}
        ),
    )


@require_http_methods(["GET", "POST"])
def comment(request: Request, run_id: int, run_sample_id: int) -> HttpResponse:
    if request.method == "GET":
        return redirect("review-pair", run_id, run_sample_id)
    run_sample = pair_for(request, run_id, run_sample_id, at_least="reviewer")
    text = request.POST.get("text", "").replace("\r\n", "\n")
    try:
        add_comment(run_sample=run_sample, user=request.user, text=text)
    except ServiceError as error:
        happened = Happened(toasts=(Toast(str(error), failed=True),), comment=text)
        return _room(request, run_sample, happened, status=422)
    return show_pair(request, run_sample, Toast(gettext("Comment saved.")))


def _sides(user: User, run_sample: RunSample, plan: ReviewPlan) -> dict[str, Version] | None:
    """What the letters of a blind page mean; ``None``: the page is not blind."""
    if not is_blind(plan, run_sample):
        return None
    role = access.role_of(user, run_sample.run.project)
    return sides_of(without_others_edits(pair_view(run_sample), user, role, plan), plan)


def _onward(request: Request, run_sample: RunSample, toast: Toast) -> HttpResponse:
    """To the next pair, which the page may show already."""
    run = run_sample.run
    state = state_of(request, run)
    shown = catch_up(request, state, run, toast)
    if shown is not None:
        return shown
    found = next_of(request, run_sample, state)
    if found is None and state.queue.show is not Show.UNDECIDED:
        found = run_sample.pk
        last = gettext("That was the last pair of this list.")
        toast = replace(toast, text=f"{toast.text} {last}")
    if found is None:
        return _go(request, reverse("review", args=[run.pk]) + state.carry, toast)
    return _go(request, state.pair_url(run.pk, found), toast)


def show_pair(request: Request, run_sample: RunSample, toast: Toast) -> HttpResponse:
    """Redirect to a pair, with a word on what was done."""
    state = RoomState.from_query(request.GET)
    return _go(request, state.pair_url(run_sample.run_id, run_sample.pk), toast)


def _go(request: Request, url: str, toast: Toast) -> HttpResponse:
    """Redirect; htmx follows it too and swaps in what it finds there."""
    level = messages.ERROR if toast.failed else messages.SUCCESS
    tags = f"undo-{toast.undo} edited-{toast.edited} opinion-{toast.opinion}"
    messages.add_message(request, level, toast.text, extra_tags=tags)
    return redirect(url)


def _toasts(request: Request) -> tuple[Toast, ...]:
    """The messages of the request before this one, with their undo."""
    toasts = []
    for message in messages.get_messages(request):
        found = _TAGS.search(message.extra_tags or "")
        undo, edited, opinion = map(int, found.groups()) if found else (0, 0, 0)
        failed = message.level >= messages.WARNING
        toasts.append(Toast(str(message), undo=undo, edited=edited, opinion=opinion, failed=failed))
    return tuple(toasts)


def _refused(request: Request, run_sample: RunSample, form: DecisionForm, why: str) -> HttpResponse:
    """An edit goes back into the editor with the reason; anything else is said in a toast."""
    if form.draft is not None:
        return _room(request, run_sample, Happened(draft=form.draft, error=why), status=422)
    toast = Toast(why, failed=True)
    return _room(request, run_sample, Happened(toasts=(toast,)), status=422)


def _room(
    request: Request, run_sample: RunSample, happened: Happened, *, status: int = 200
) -> HttpResponse:
    state = RoomState.from_query(request.GET)
    role = access.role_of(request.user, run_sample.run.project)
    may_decide = role in ("reviewer", "owner")
    others = hold(run_sample=run_sample, user=request.user) if may_decide else []
    context = room_context(request.user, role, run_sample, state, happened, others)
    fragment = "review/_blind.html" if context["blind"] else "review/_room.html"
    response = _answer(request, context, fragment, status=status)
    if request.htmx:
        address = reverse("review-pair", args=[run_sample.run_id, run_sample.pk])
        query = state.here(edit="1") if context["editing"] else context["here"]
        response["HX-Push-Url"] = address + query
    return response


def _answer(
    request: Request, context: dict[str, object], fragment: str, *, status: int = 200
) -> HttpResponse:
    """The room alone for htmx, else (and when the browser goes back) the whole page."""
    alone = bool(request.htmx) and not request.htmx.history_restore_request
    context |= {"fragment": fragment, "alone": alone}
    template = fragment if alone else "review/page.html"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    return response


urlpatterns = [
    path("runs/<int:run_id>/review", review, name="review"),
    path("runs/<int:run_id>/review/undo", undo, name="undo"),
    path("runs/<int:run_id>/review/<int:run_sample_id>", pair, name="review-pair"),
    path("runs/<int:run_id>/review/<int:run_sample_id>/decide", decide, name="decide"),
    path("runs/<int:run_id>/review/<int:run_sample_id>/comment", comment, name="comment"),
]
