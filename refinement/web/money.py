"""What a run has used and may use, and changing the latter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import messages
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from refinement.method.prompt_set import RULES, PromptSet
from refinement.method.specs import same_model
from refinement.selectors import access
from refinement.services import runs as services
from refinement.services.errors import ServiceError
from refinement.web.trial_forms import BudgetForm

if TYPE_CHECKING:
    from decimal import Decimal

    from django.http import HttpResponse

    from refinement.models import Run
    from refinement.web.http import Request


@dataclass(frozen=True, slots=True)
class Bound:
    """One budget: what is used of it, in its own unit."""

    name: str
    used: Decimal | int
    budget: Decimal | int

    @property
    def percent(self) -> int:
        return min(100, int(100 * self.used / self.budget)) if self.budget else 100


@dataclass(frozen=True, slots=True)
class Money:
    """What the run page tells of money and of the words that were paid for."""

    tokens: int
    cost: Decimal
    questions: int
    stored_answers: int
    bounds: list[Bound]
    edited_prompts: list[str]
    is_the_student: bool


def money_of(run: Run) -> Money:
    tokens = run.prompt_tokens + run.completion_tokens
    bounds = []
    if run.budget_tokens is not None:
        bounds.append(Bound("tokens", tokens, run.budget_tokens))
    if run.budget_cost is not None:
        bounds.append(Bound("cost", run.cost, run.budget_cost))
    config = run.config
    edited = PromptSet.from_dict(config.get("prompts", {})).edited
    return Money(
        tokens=tokens,
        cost=run.cost,
        questions=run.teacher_calls,
        stored_answers=run.stored_answers,
        bounds=bounds,
        edited_prompts=[RULES[name].label for name in edited if name in RULES],
        is_the_student=same_model(
            config.get("teacher", {}).get("model", ""), config.get("student", {}).get("path", "")
        ),
    )


@require_POST
def budget(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="owner")
    form = BudgetForm(request.POST)
    if not form.is_valid():
        sentences = [str(sentence) for errors in form.errors.values() for sentence in errors]
        messages.error(request, " ".join(sentences))
        return redirect("run", run_id)
    try:
        services.set_budget(
            run=run,
            tokens=form.cleaned_data["budget_tokens"],
            cost=form.cleaned_data["budget_cost"],
        )
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        bounded = run.budget_tokens is not None or run.budget_cost is not None
        messages.success(
            request, gettext("The budget is set.") if bounded else gettext("The budget is lifted.")
        )
    return redirect("run", run_id)


urlpatterns = [path("runs/<int:run_id>/budget", budget, name="run-budget")]
