"""The people of a run: how they share its pairs, how far each is, how far they agree."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from refinement.models import User
from refinement.models.review_plan import MOST_REVIEWERS
from refinement.selectors import access
from refinement.selectors.agreement import agreement_of
from refinement.selectors.opinions import current_opinions, disputed, progress_of
from refinement.selectors.review_sharing import plan_of, reviewers_of
from refinement.services.assignments import distribute, unassign
from refinement.services.errors import ServiceError
from refinement.services.review_plans import set_plan
from refinement.web.forms import add_service_error

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.models import Run
    from refinement.web.http import Request

DISPUTES_SHOWN = 50


class PlanForm(forms.Form):
    """How pairs are shared."""

    reviewers_per_pair = forms.IntegerField(
        label=gettext_lazy("Reviewers a pair"),
        min_value=1,
        max_value=MOST_REVIEWERS,
        help_text=gettext_lazy(
            "With more than one, each judges alone; what they agree on is the decision, and "
            "where they differ an owner settles it."
        ),
    )
    blind = forms.BooleanField(
        label=gettext_lazy("Blind"),
        required=False,
        help_text=gettext_lazy(
            "Hides where a text came from, the scores and the verdict until a pair is "
            "decided, and shows its texts in an order of chance."
        ),
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed of the order"),
        min_value=0,
        max_value=2**31 - 1,
        help_text=gettext_lazy("The same seed gives the same order of the sides, for everybody."),
    )


class AssignForm(forms.Form):
    """Who gets the pairs that nobody has been given."""

    def __init__(self, *args: Any, run: Run, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        able = [user.pk for user in reviewers_of(run.project)]
        everybody = User.objects.filter(pk__in=able).order_by("username")
        self.fields["people"] = forms.ModelMultipleChoiceField(
            queryset=everybody, widget=forms.CheckboxSelectMultiple, label=gettext("People")
        )


@require_GET
def people(request: Request, run_id: int) -> HttpResponse:
    return _page(request, access.run_for(request.user, run_id))


@require_POST
def plan(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="owner")
    form = PlanForm(request.POST)
    if form.is_valid():
        try:
            set_plan(run=run, by=request.user, **form.cleaned_data)
        except ServiceError as error:
            add_service_error(form, error, "reviewers_per_pair")
    if form.errors:
        return _page(request, run, plan_form=form, status=422)
    messages.success(request, gettext("Saved. It holds for every pair from now on."))
    return redirect("review-people", run.pk)


@require_POST
def assign(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="owner")
    form = AssignForm(request.POST, run=run)
    if form.is_valid():
        try:
            pairs = distribute(
                run=run,
                people=list(form.cleaned_data["people"]),
                reviewers_per_pair=plan_of(run).reviewers_per_pair,
                by=request.user,
            )
        except ServiceError as error:
            add_service_error(form, error, "people")
    if form.errors:
        return _page(request, run, assign_form=form, status=422)
    if pairs:
        messages.success(request, gettext("Assigned: %(pairs)s pairs.") % {"pairs": f"{pairs:,}"})
    else:
        messages.warning(request, gettext("Every undecided pair is assigned already."))
    return redirect("review-people", run.pk)


@require_POST
def take_back(request: Request, run_id: int) -> HttpResponse:
    """Free what a person has been given and not judged."""
    run = access.run_for(request.user, run_id, at_least="owner")
    number = request.POST.get("user", "")
    user = get_object_or_404(User, pk=int(number) if number.isdecimal() else 0)
    freed = unassign(run=run, user=user, by=request.user)
    messages.success(
        request,
        gettext("%(freed)s pairs of %(user)s are free again.")
        % {"freed": f"{freed:,}", "user": user},
    )
    return redirect("review-people", run.pk)


def _page(
    request: Request,
    run: Run,
    *,
    plan_form: PlanForm | None = None,
    assign_form: AssignForm | None = None,
    status: int = 200,
) -> HttpResponse:
    now = plan_of(run)
    at_odds = disputed(run)
    shown = list(at_odds.select_related("sample")[:DISPUTES_SHOWN])
    owner = access.role_of(request.user, run.project) == "owner"
    agreement = agreement_of(run) if owner or not now.blind else None
    policies = agreement.policies if agreement else []
    initial = {
        "reviewers_per_pair": now.reviewers_per_pair,
        "blind": now.blind,
        "seed": now.seed,
    }
    context = {
        "run": run,
        "project": run.project,
        "plan": now,
        "is_owner": owner,
        "plan_form": plan_form or PlanForm(initial=initial),
        "assign_form": assign_form or AssignForm(run=run),
        "progress": progress_of(run),
        "agreement": agreement,
        # A row a policy, the run's own first, with everybody in one order.
        "by_policy": [(key, list(it)) for key, it in groupby(policies, attrgetter("second"))],
        "disputes": [(pair, current_opinions(pair)) for pair in shown] if owner else [],
        "dispute_count": at_odds.count(),
    }
    return render(request, "review/people.html", context, status=status)


urlpatterns = [
    path("runs/<int:run_id>/people", people, name="review-people"),
    path("runs/<int:run_id>/people/plan", plan, name="review-plan"),
    path("runs/<int:run_id>/people/assign", assign, name="review-assign"),
    path("runs/<int:run_id>/people/take-back", take_back, name="review-unassign"),
]
