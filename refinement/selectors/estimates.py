"""What a run would use: measured on trials and on earlier runs of the same kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Sum

from refinement.method.estimates import Estimate, estimate_total
from refinement.models import RunSample, TeacherCall, Trial, TrialCall

if TYPE_CHECKING:
    from refinement.method.specs import TeacherSpec
    from refinement.models import Dataset, Endpoint

MOST_MEASURED = 500  # samples of earlier runs: more would not narrow the range


@dataclass(frozen=True, slots=True)
class Use:
    """Tokens of one sample, of all its questions and of both reflections."""

    prompt_tokens: int
    completion_tokens: int
    questions: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Totals of a run over ``samples`` samples. ``cost`` is None where the teacher has no price."""

    samples: int
    tokens: Estimate
    questions: Estimate
    cost: Estimate | None


def forecast(
    *, dataset: Dataset, teacher: Endpoint, spec: TeacherSpec, prompt_version: str, samples: int
) -> Forecast | None:
    """From samples of this dataset that were asked about in the same way; None without any.

    Retries count as they came. What storage will answer is not taken off: it makes a run cheaper.
    """
    kind = {
        "config__prompt_version": prompt_version,
        "config__teacher__protocol": spec.protocol,
        "config__teacher__model": spec.model,
        "dataset": dataset,
        "teacher": teacher,
    }
    uses = _of_trials(kind) + _of_runs(kind)
    tokens = [float(use.prompt_tokens + use.completion_tokens) for use in uses]
    total = estimate_total(tokens, samples)
    questions = estimate_total([float(use.questions) for use in uses], samples)
    if total is None or questions is None:
        return None
    costs = [
        (use.prompt_tokens * spec.price_prompt + use.completion_tokens * spec.price_completion)
        / 1_000_000
        for use in uses
    ]
    priced = bool(spec.price_prompt or spec.price_completion)
    return Forecast(samples, total, questions, estimate_total(costs, samples) if priced else None)


def _of_trials(kind: dict[str, object]) -> list[Use]:
    """One use a sample: of several trials of it, the latest."""
    trials = Trial.objects.filter(status=Trial.Status.DONE, **kind).order_by("-pk")[:20]
    calls = (
        TrialCall.objects.filter(trial__in=[trial.pk for trial in trials])
        .order_by("trial_id")
        .values("trial_id", "position")
        .annotate(read=Sum("prompt_tokens"), written=Sum("completion_tokens"), asked=Count("pk"))
    )
    by_position = {
        call["position"]: Use(call["read"], call["written"], call["asked"]) for call in calls
    }
    return list(by_position.values())


def _of_runs(kind: dict[str, object]) -> list[Use]:
    rows = RunSample.objects.filter(
        state=RunSample.State.DONE, **{f"run__{name}": value for name, value in kind.items()}
    ).order_by("-pk")[:MOST_MEASURED]
    calls = (
        TeacherCall.objects.filter(run_sample__in=[row.pk for row in rows.only("pk")])
        .order_by()
        .values("run_sample_id")
        .annotate(read=Sum("prompt_tokens"), written=Sum("completion_tokens"), asked=Count("pk"))
    )
    return [Use(call["read"], call["written"], call["asked"]) for call in calls]
