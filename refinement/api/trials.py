"""Before a run: prompts, a look at what would be asked, a teacher tried, an estimate."""

from dataclasses import asdict
from typing import Annotated, Any

from ninja import Field, Router

from refinement.api.auth import READ, WRITE, Request, check_project, project_for
from refinement.api.once import HEADER, once
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import trials as s
from refinement.method.preview import questions
from refinement.method.prompt_set import RULES, PromptSet, problems
from refinement.method.specs import TeacherSpec
from refinement.models import Dataset, Endpoint, Project, Trial
from refinement.selectors import access
from refinement.selectors.datasets import ready_datasets
from refinement.selectors.estimates import forecast
from refinement.services import models_registry
from refinement.services import trials as services

router = Router(tags=["trials"])


@router.get("/prompts", auth=READ, response=c.Page[s.PromptOut])
def list_prompts(request: Request) -> Any:  # noqa: ARG001
    """The prompts that a run may have in its own words."""
    return {"items": s.known_prompts(), "next": None}


@router.post("/projects/{project_id}/trials/preview", auth=WRITE, response=s.PreviewOut)
def preview(request: Request, project_id: c.Id, body: s.AskIn) -> Any:
    """The messages about one pair, exactly as they would be sent. Nobody is asked.

    What only a reply could fill stands in ⟨brackets⟩.
    """
    project = project_for(request, project_id, at_least="owner")
    dataset, teacher = _chosen(project, body)
    words = s.prompt_set(body.prompts)
    for name, sentence in problems(words.as_dict()).items():
        raise Refused(422, f"{RULES[name].label}: {sentence}")
    sample = dataset.samples.filter(position=body.pair - 1).first()
    if sample is None:
        raise Refused(422, f"This dataset has no pair {body.pair}: choose a smaller number.")
    asked = questions(sample.as_pair(), body.protocol or teacher.protocol, words)
    return {"version": words.version, "questions": [asdict(question) for question in asked]}


@router.post(
    "/projects/{project_id}/trials", auth=WRITE, response={201: s.TrialOut}, openapi_extra=HEADER
)
@once(s.TrialOut)
def start_trial(request: Request, project_id: c.Id, body: s.TrialIn) -> Any:
    """Ask the teacher about one pair, or about a few to measure a run. A worker does it."""
    project = project_for(request, project_id, at_least="owner")
    dataset, teacher = _chosen(project, body)
    measured = services.positions_to_measure(dataset, body.limit) if body.measure else None
    return services.start_trial(
        project=project,
        dataset=dataset,
        teacher=teacher,
        positions=measured or [body.pair - 1],
        user=request.user,
        protocol=body.protocol,
        prompts=s.prompt_set(body.prompts),
    )


@router.get("/trials/{trial_id}", auth=READ, response=s.TrialDetail)
def get_trial(
    request: Request,
    trial_id: c.Id,
    limit: Annotated[int | None, Field(ge=1, lt=2**31, description="Pairs of the run")] = None,
) -> Any:
    """The replies, what they used, and what a run over all pairs, or the first few, would use."""
    trial = _trial(request, trial_id)
    calls = list(trial.calls.all())
    total = trial.dataset.sample_count
    expected = forecast(
        dataset=trial.dataset,
        teacher=trial.teacher,
        spec=TeacherSpec.from_dict(trial.config["teacher"]),
        prompt_version=PromptSet.from_dict(trial.config["prompts"]).version,
        samples=min(limit or total, total),
    )
    return {
        **s.TrialOut.from_orm(trial).dict(),
        "calls": calls,
        "tokens": sum(call.prompt_tokens + call.completion_tokens for call in calls),
        "cost": str(sum(call.cost for call in calls)),
        "forecast": asdict(expected) if expected else None,
    }


def _trial(request: Request, trial_id: int) -> Trial:
    """For owners: its replies are of their teacher's budget."""
    trial = Trial.objects.select_related("dataset", "teacher").filter(pk=trial_id).first()
    if trial is None:
        raise access.NoAccess("No such trial.")
    check_project(request, trial.project_id)
    access.project_for(request.user, trial.project_id, at_least="owner")
    return trial


def _chosen(project: Project, body: s.AskIn) -> tuple[Dataset, Endpoint]:
    dataset = ready_datasets(project).filter(pk=body.dataset).first()
    if dataset is None:
        raise Refused(422, "Choose a dataset of this project that is ready.")
    if body.teacher is None:
        return dataset, models_registry.embedded_teacher()
    teacher = Endpoint.objects.filter(pk=body.teacher).first()
    if teacher is None:
        raise Refused(422, "There is no such teacher here.")
    return dataset, teacher
