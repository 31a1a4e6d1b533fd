"""A run in words and pictures: its stages as a flow, its settings and its failures in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext, gettext_noop

from refinement.method.specs import PolicySpec, StudentSpec, TeacherSpec
from refinement.models import Endpoint, RunSample, Student
from refinement.templatetags.refinement_ui import last_part
from refinement.web.policy_words import in_words

if TYPE_CHECKING:
    from refinement.models import Run
    from refinement.selectors.outcomes import RunOutcomes
    from refinement.selectors.runs import RunProgress

Stage, State = RunSample.Stage, RunSample.State

_STEPS: tuple[tuple[str, str, str], ...] = (
    (Stage.REFLECT_INSTRUCTION, gettext_noop("Rewrite the instruction"), "teacher"),
    (Stage.SELECT_INSTRUCTION, gettext_noop("Choose by IFD"), "student"),
    (Stage.REFLECT_RESPONSE, gettext_noop("Rewrite the response"), "teacher"),
    (Stage.SELECT_RESPONSE, gettext_noop("Choose by r-IFD"), "student"),
)

REASONS: dict[str, tuple[str, str]] = {
    "teacher_unreachable": (
        gettext_noop("The teacher did not answer"),
        gettext_noop("Retry once it is up and answers again."),
    ),
    "refused_request": (
        gettext_noop("The teacher refused the request"),
        gettext_noop("Read its words, then retry or skip."),
    ),
    "empty": (
        gettext_noop("The teacher answered with nothing"),
        gettext_noop("A retry may bring a text."),
    ),
    "truncated": (
        gettext_noop("The reply was cut off by the length limit"),
        gettext_noop("Use a teacher with a longer “longest reply”."),
    ),
    "refusal": (
        gettext_noop("The teacher declined to answer"),
        gettext_noop("A retry seldom helps; read the pair."),
    ),
    "unparsable": (
        gettext_noop("The reply did not hold what was asked for"),
        gettext_noop("Retry, or choose staged turns for this teacher."),
    ),
    "filtered": (
        gettext_noop("The teacher's filter stopped the reply"),
        gettext_noop("A retry seldom helps; read the pair."),
    ),
    "student": (
        gettext_noop("The student could not score the pair"),
        gettext_noop("Read its words, then retry."),
    ),
    "worker_lost": (
        gettext_noop("The worker died while it held the pair"),
        gettext_noop("Retry, and watch the worker."),
    ),
    "internal": (
        gettext_noop("An unexpected problem"),
        gettext_noop("Retry; if it stays, report it with the words below."),
    ),
}


def reason_words(reason: str) -> tuple[str, str]:
    """A failure's reason as a title, and what to do about it."""
    unknown = (reason.replace("_", " ").capitalize() or "Unknown", gettext_noop("Retry."))
    title, help_ = REASONS.get(reason, unknown)
    return gettext(title), gettext(help_)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the flow.

    ``passed``: samples that have left it behind, forwards; ``coming``: those that still may.
    """

    stage: str
    label: str
    by: str
    waiting: int
    working: int
    failed: int
    passed: int
    coming: int
    total: int
    alive: bool  # a worker of its kind lives

    @property
    def is_over(self) -> bool:
        return self.total > 0 and self.coming == 0


def steps(progress: RunProgress) -> list[Step]:
    lines = []
    behind = lost = 0  # samples that have not left the stages up to this one, and never will
    for stage, label, by in _STEPS:
        states = progress.counts[stage]
        behind += sum(states.values())
        lost += states.get(State.FAILED, 0)
        lines.append(
            Step(
                stage=stage,
                label=label,
                by=by,
                waiting=states.get(State.READY, 0),
                working=states.get(State.LEASED, 0),
                failed=states.get(State.FAILED, 0),
                passed=progress.total - behind,
                coming=behind - lost,
                total=progress.total,
                alive=by in progress.workers_alive,
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a stacked bar, in samples from its left end."""

    kind: str
    label: str
    start: int
    count: int


def segments(progress: RunProgress, outcomes: RunOutcomes) -> list[Segment]:
    """All samples of a run in one bar: what came of them, else where they are."""
    open_ = max(progress.total - progress.done - progress.failed, 0)
    parts = (
        ("kept", gettext("kept"), outcomes.kept),
        ("dropped", gettext("not kept"), max(progress.done - outcomes.kept, 0)),
        ("failed", gettext("failed"), progress.failed),
        ("working", gettext("in work"), min(progress.in_work, open_)),
        ("waiting", gettext("waiting"), open_ - min(progress.in_work, open_)),
    )
    found, start = [], 0
    for kind, label, count in parts:
        found.append(Segment(kind=kind, label=label, start=start, count=count))
        start += count
    return found


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was frozen with, in words."""

    teacher: str
    teacher_url: str
    protocol: str
    student: str
    template: str
    filters: list[str]
    prompt_version: str


def settings_of(run: Run) -> Settings:
    teacher = TeacherSpec.from_dict({"base_url": "", "model": ""} | run.config.get("teacher", {}))
    student = StudentSpec.from_dict({"path": ""} | run.config.get("student", {}))
    policy = PolicySpec.from_dict(run.config.get("policy", {}))
    return Settings(
        teacher=last_part(teacher.model),
        teacher_url=teacher.base_url,
        protocol=str(dict(Endpoint.Protocol.choices).get(teacher.protocol, teacher.protocol)),
        student=last_part(student.path),
        template=str(dict(Student.Template.choices).get(student.template, student.template)),
        filters=_filters(policy),
        prompt_version=str(run.config.get("prompt_version", "")),
    )


def _filters(policy: PolicySpec) -> list[str]:
    title, _, filters = in_words(policy).partition(": ")
    words = filters.split(", ")
    return words if policy.name == "paper" else [title, *words]


def missing_workers(progress: RunProgress) -> list[str]:
    """The kinds of worker that this run waits for and that are not alive."""
    waits_for = {step.by for step in steps(progress) if step.waiting or step.working}
    return [name for name in ("teacher", "student") if name in waits_for - progress.workers_alive]
