"""Starting a run, watching it, steering it, and what failed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from refinement.models import Run
from refinement.selectors import access, failures
from refinement.selectors.datasets import ready_datasets
from refinement.selectors.lineage import later_rounds, lineage
from refinement.selectors.outcomes import run_outcomes
from refinement.selectors.queue import counts_of
from refinement.selectors.runs import run_progress
from refinement.selectors.workers import queues_alive
from refinement.services import models_registry
from refinement.services import runs as services
from refinement.services.errors import ServiceError
from refinement.services.self_improvement import teacher_that_is
from refinement.services.starting import start_run
from refinement.services.submissions import AlreadySent, new_token, sent_once
from refinement.web import run_page
from refinement.web.forms import RetryForm, RunForm, add_service_error
from refinement.web.http import Request, live, live_response
from refinement.web.money import money_of
from refinement.web.rounds import further_round
from refinement.web.trial_forms import BudgetForm, PromptsForm, SpendForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponse
    from django.utils.safestring import SafeString

    from refinement.models import Project
    from refinement.selectors.queue import Counts

POLL_SECONDS = {Run.Status.RUNNING: 2, Run.Status.PAUSED: 5}


@require_http_methods(["GET", "POST"])
def new(request: Request, project_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id, at_least="owner")
    teacher, student = models_registry.embedded_teacher(), models_registry.embedded_student()
    datasets = ready_datasets(project)
    brought = datasets.filter(given_rewrites__isnull=False)
    given = models_registry.given_teacher() if brought.exists() else None
    if request.method == "GET":
        start = {
            "token": new_token(),
            "teacher": teacher.pk,
            "student": student.pk,
            "dataset": request.GET.get("dataset"),
        }
        if given and brought.filter(pk=_number(request.GET.get("dataset")) or 0).exists():
            start["teacher"] = given.pk
        start |= further_round(request, project)
        forms = RunForm(initial=start, datasets=datasets), SpendForm(), PromptsForm()
        return _new_page(request, project, *forms)
    form = RunForm(request.POST, datasets=datasets)
    spend, prompts = SpendForm(request.POST), PromptsForm(request.POST)
    if all([form.is_valid(), spend.is_valid(), prompts.is_valid()]):
        response = _start(request, project, form, spend, prompts)
        if response is not None:
            return response
    return _new_page(request, project, form, spend, prompts, status=422)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def _start(
    request: Request, project: Project, form: RunForm, spend: SpendForm, prompts: PromptsForm
) -> HttpResponse | None:
    """The redirect to the new run; ``None`` where the form now says why there is none."""
    data, money = form.cleaned_data, spend.cleaned_data
    try:
        if money["teacher_is_student"]:
            data["teacher"] = teacher_that_is(data["student"])
        with sent_once(token=data["token"], user=request.user) as submission:
            run = start_run(
                project=project,
                dataset=data["dataset"],
                teacher=data["teacher"],
                student=data["student"],
                policy=form.policy(),
                user=request.user,
                name=data["name"],
                protocol=data["protocol"],
                template=data["template"],
                limit=data["limit"],
                prompts=prompts.prompts(),
                reuse=not money["ask_anew"],
                budget_tokens=money["budget_tokens"],
                budget_cost=money["budget_cost"],
            )
            submission.location = reverse("run", args=[run.pk])
    except AlreadySent as sent:
        messages.info(request, gettext("This run was started already, once."))
        return redirect(sent.location or reverse("project", args=[project.pk]))
    except ServiceError as error:
        add_service_error(form, error)
        return None
    return redirect(submission.location)


def _new_page(
    request: Request,
    project: Project,
    form: RunForm,
    spend: SpendForm,
    prompts: PromptsForm,
    status: int = 200,
) -> HttpResponse:
    alive = queues_alive()
    context = {
        "project": project,
        "form": form,
        "spend": spend,
        "prompts": prompts,
        "missing_workers": [name for name in ("teacher", "student") if name not in alive],
    }
    return render(request, "runs/new.html", context, status=status)


@require_GET
def show(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id)
    counts = counts_of(run)
    html, _ = _live_part(request, run, counts)
    budget = {"budget_tokens": run.budget_tokens, "budget_cost": run.budget_cost}
    context = {
        "run": run,
        "live": html,
        "role": access.role_of(request.user, run.project),
        "budget_form": BudgetForm(initial=budget),
        "rounds": lineage(run, counts),
        "later": later_rounds(run),
    }
    return render(request, "runs/page.html", context)


@require_GET
def progress(request: Request, run_id: int) -> HttpResponse:
    """The part of the page that changes while the run works."""
    run = access.run_for(request.user, run_id)
    return live_response(request, *_live_part(request, run, counts_of(run)))


def _live_part(request: Request, run: Run, counts: Counts) -> tuple[SafeString, str]:
    progress, outcomes = run_progress(run, counts), run_outcomes(run, counts)
    context: dict[str, Any] = {
        "run": run,
        "project": run.project,
        "role": access.role_of(request.user, run.project),
        "progress": progress,
        "outcomes": outcomes,
        "steps": run_page.steps(progress),
        "segments": run_page.segments(progress, outcomes),
        "settings": run_page.settings_of(run),
        "money": money_of(run),
        "missing_workers": run_page.missing_workers(progress),
        "failures": _failure_lines(progress.failures),
    }
    return live(
        request,
        element="run-live",
        template="runs/_live.html",
        url=reverse("run-progress", args=[run.pk]) + "?part=live",
        every=POLL_SECONDS.get(Run.Status(run.status)),
        context=context,
    )


def _failure_lines(counts: dict[str, int]) -> list[dict[str, Any]]:
    lines = []
    for reason, count in counts.items():
        title, advice = run_page.reason_words(reason)
        lines.append({"reason": reason, "count": count, "title": title, "advice": advice})
    return lines


@require_GET
def failed(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id)
    reason = request.GET.get("reason", "")
    context = {
        "run": run,
        "role": access.role_of(request.user, run.project),
        "reason": reason,
        "reasons": _failure_lines(run_progress(run).failures),
        "page": failures.failed_page(run, reason=reason, number=request.GET.get("page", 1)),
    }
    return render(request, "runs/failures.html", context)


def _steer(
    request: Request, run_id: int, act: Callable[..., Any], done: Callable[[Any], str]
) -> HttpResponse:
    """One POST of an owner: do it, and say what happened on the page it came back to."""
    run = access.run_for(request.user, run_id, at_least="owner")
    try:
        result = act(run=run)
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done(result))
    return redirect("run", run_id)


@require_POST
def pause(request: Request, run_id: int) -> HttpResponse:
    return _steer(
        request,
        run_id,
        services.pause_run,
        lambda _: gettext("Paused. What is in work is finished first."),
    )


@require_POST
def resume(request: Request, run_id: int) -> HttpResponse:
    return _steer(request, run_id, services.resume_run, lambda _: gettext("The run goes on."))


@require_POST
def cancel(request: Request, run_id: int) -> HttpResponse:
    return _steer(
        request,
        run_id,
        services.cancel_run,
        lambda _: gettext("Cancelled. What is done can still be reviewed and exported."),
    )


@require_POST
def retry(request: Request, run_id: int) -> HttpResponse:
    """Retry all that failed, or the one sample that is named."""
    run = access.run_for(request.user, run_id, at_least="owner")
    form = RetryForm(request.POST)
    if not form.is_valid():
        raise access.NoAccess(gettext("No such failed sample."))
    wanted, reason = form.cleaned_data["run_sample"], form.cleaned_data["reason"]
    run_sample = None if wanted is None else failures.failed_sample(run, wanted)
    try:
        count = services.retry_failed(
            run=run, run_sample=run_sample, reason=form.cleaned_data["only_reason"]
        )
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        words = ngettext(
            "%(pairs)s pair is tried again.", "%(pairs)s pairs are tried again.", count
        )
        messages.success(request, words % {"pairs": intcomma(count)})
    if run_sample is None:
        return redirect("run", run_id)
    return redirect(f"{reverse('run-failures', args=[run_id])}?{urlencode({'reason': reason})}")


urlpatterns = [
    path("projects/<int:project_id>/runs/new", new, name="run-new"),
    path("runs/<int:run_id>", show, name="run"),
    path("runs/<int:run_id>/progress", progress, name="run-progress"),
    path("runs/<int:run_id>/failures", failed, name="run-failures"),
    path("runs/<int:run_id>/pause", pause, name="run-pause"),
    path("runs/<int:run_id>/resume", resume, name="run-resume"),
    path("runs/<int:run_id>/cancel", cancel, name="run-cancel"),
    path("runs/<int:run_id>/retry", retry, name="run-retry"),
]
