"""Before a run: what would be asked, what the teacher replies, and what all of it will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from refinement.method.asking import STEP_WORDS
from refinement.method.preview import questions
from refinement.method.prompt_set import PromptSet
from refinement.method.specs import TeacherSpec
from refinement.models import Trial
from refinement.selectors import access
from refinement.selectors.datasets import ready_datasets
from refinement.selectors.estimates import forecast
from refinement.selectors.workers import queues_alive
from refinement.services import trials as services
from refinement.services.errors import ServiceError
from refinement.web.http import Request, live, live_response
from refinement.web.trial_forms import PREFIX, PromptsForm, TrialForm

if TYPE_CHECKING:
    from django.http import HttpResponse
    from django.utils.safestring import SafeString

    from refinement.models import Project

POLL_SECONDS = 1


@require_POST
def preview(request: Request, project_id: int) -> HttpResponse:
    """The messages about one pair, exactly as they would be sent."""
    project = access.project_for(request.user, project_id, at_least="owner")
    form, prompts = _forms(request, project)
    if form.is_valid() and prompts.is_valid():
        data, words = form.cleaned_data, prompts.prompts()
        sample = data["dataset"].samples.order_by("position")[(data["pair"] or 1) - 1 :].first()
        if sample is not None:
            protocol = data["protocol"] or data["teacher"].protocol
            context = {
                "project": project,
                "sample": sample,
                "version": words.version,
                "questions": [
                    {"step": STEP_WORDS[question.step], "question": question}
                    for question in questions(sample.as_pair(), protocol, words)
                ],
            }
            page = "trials/_preview.html" if request.htmx else "trials/preview.html"
            return render(request, page, context)
        form.add_error("pair", gettext("This dataset has fewer pairs: choose a smaller number."))
    return _refused(request, project, _problems(form, prompts))


@require_POST
def ask(request: Request, project_id: int) -> HttpResponse:
    """Ask the teacher about one pair, or (``measure``) about a few, for an estimate."""
    project = access.project_for(request.user, project_id, at_least="owner")
    form, prompts = _forms(request, project)
    if not (form.is_valid() and prompts.is_valid()):
        return _refused(request, project, _problems(form, prompts))
    data = form.cleaned_data
    measure = "measure" in request.POST
    positions = (
        services.positions_to_measure(data["dataset"], data["limit"])
        if measure
        else [(data["pair"] or 1) - 1]
    )
    try:
        trial = services.start_trial(
            project=project,
            dataset=data["dataset"],
            teacher=data["teacher"],
            positions=positions,
            user=request.user,
            protocol=data["protocol"],
            prompts=prompts.prompts(),
        )
    except ServiceError as error:
        return _refused(request, project, [str(error)])
    limit = f"?limit={data['limit']}" if data["limit"] else ""
    if request.htmx:
        html, _ = _live_part(request, trial, data["limit"])
        return live_response(request, html, "")
    return redirect(reverse("trial", args=[trial.pk]) + limit)


@require_GET
def show(request: Request, trial_id: int) -> HttpResponse:
    trial = _trial_for(request, trial_id)
    limit = _limit(request)
    html, _ = _live_part(request, trial, limit)
    return render(request, "trials/page.html", {"trial": trial, "live": html})


@require_GET
def progress(request: Request, trial_id: int) -> HttpResponse:
    trial = _trial_for(request, trial_id)
    return live_response(request, *_live_part(request, trial, _limit(request)))


def _trial_for(request: Request, trial_id: int) -> Trial:
    trial = Trial.objects.select_related("project", "dataset", "teacher").filter(pk=trial_id)
    found = trial.first()
    if found is None:
        raise access.NoAccess(gettext("No such trial."))
    access.project_for(request.user, found.project_id, at_least="owner")
    return found


def _live_part(request: Request, trial: Trial, limit: int | None) -> tuple[SafeString, str]:
    words = PromptSet.from_dict(trial.config["prompts"])
    total = trial.dataset.sample_count
    calls = list(trial.calls.all())
    context: dict[str, Any] = {
        "trial": trial,
        "working": trial.status in {Trial.Status.PENDING, Trial.Status.RUNNING},
        "no_worker": "teacher" not in queues_alive(),
        "calls": calls,
        "questions": len(calls),
        "expected": len(trial.positions),
        "tokens": sum(call.prompt_tokens + call.completion_tokens for call in calls),
        "cost": sum(call.cost for call in calls),
        "forecast": forecast(
            dataset=trial.dataset,
            teacher=trial.teacher,
            spec=TeacherSpec.from_dict(trial.config["teacher"]),
            prompt_version=words.version,
            samples=min(limit or total, total),
        ),
    }
    suffix = f"?limit={limit}" if limit else ""
    return live(
        request,
        element=f"trial-{trial.pk}",
        template="trials/_live.html",
        url=reverse("trial-progress", args=[trial.pk]) + (suffix + "&" if suffix else "?") + "part",
        every=POLL_SECONDS if context["working"] else None,
        context=context,
    )


def _limit(request: Request) -> int | None:
    text = request.GET.get("limit", "")
    return int(text) if text.isdecimal() and int(text[:12]) > 0 else None


def _forms(request: Request, project: Project) -> tuple[TrialForm, PromptsForm]:
    return (
        TrialForm(request.POST, datasets=ready_datasets(project)),
        PromptsForm(request.POST),
    )


def _problems(form: TrialForm, prompts: PromptsForm) -> list[str]:
    found = [str(sentence) for errors in form.errors.values() for sentence in errors]
    for name, errors in prompts.errors.items():
        label = prompts.fields[name].label if name.startswith(PREFIX) else "Prompts"
        found += [f"{label}: {sentence}" for sentence in errors]
    return found


def _refused(request: Request, project: Project, sentences: list[str]) -> HttpResponse:
    page = "trials/_refused.html" if request.htmx else "trials/refused.html"
    context = {"project": project, "sentences": sentences}
    return render(request, page, context, status=422)


urlpatterns = [
    path("projects/<int:project_id>/runs/preview", preview, name="run-preview"),
    path("projects/<int:project_id>/runs/try", ask, name="run-try"),
    path("trials/<int:trial_id>", show, name="trial"),
    path("trials/<int:trial_id>/progress", progress, name="trial-progress"),
]
