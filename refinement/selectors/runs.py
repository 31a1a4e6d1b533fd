"""What the screens tell of a run: how far it is, how fast it goes, and what failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, Min, Q, Sum
from django.utils import timezone

from refinement.models import Run, RunSample, Score, TeacherCall, Verdict
from refinement.selectors.queue import counts_of
from refinement.selectors.workers import queues_alive

if TYPE_CHECKING:
    from decimal import Decimal

    from django.db.models import Aggregate, QuerySet

    from refinement.selectors.queue import Counts

Stage, State = RunSample.Stage, RunSample.State

RATE_WINDOW = timedelta(minutes=1)
SHORTEST_WINDOW = timedelta(seconds=5)  # a rate over less would only be noise
MOST_ROWS = 5_000  # that a rate is taken from
STANDSTILL_SECONDS = 600.0  # longer than a teacher or a student is waited for
STAGE_ORDER = [Stage(value) for value in Stage.values]


@dataclass(frozen=True)
class RunProgress:
    """One look at a run. Rates are of the last minute; ``None`` where nothing can be said."""

    status: str
    notice: str
    counts: dict[str, dict[str, int]]  # stage -> state -> samples
    total: int
    done: int
    failed: int
    reviewable: int  # samples with a verdict that a person may review
    scored_pairs: int
    teacher_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    forward_tokens: int  # that went through the student
    tokens_per_second: float
    pairs_per_second: float
    eta_seconds: float | None
    failures: dict[str, int]  # reason -> samples
    workers_alive: frozenset[str]  # names of queues

    @property
    def in_work(self) -> int:
        return sum(states.get(State.LEASED, 0) for states in self.counts.values())


def run_progress(run: Run, counts: Counts | None = None) -> RunProgress:
    """How the run stands. Four queries, none of which reads a row for every sample or score.

    The run is taken as it was read: before its ``counts``, or else a run that is over might show
    samples that are not.
    """
    now = timezone.now()
    kept = counts_of(run) if counts is None else counts
    stages = {stage.value: kept.states.get(stage.value, {}) for stage in STAGE_ORDER}
    # What the teacher wrote, not what storage answered.
    asked = TeacherCall.objects.filter(from_storage=False)
    calls, tokens = _pace(run, now, asked, Count("pk"), Sum("completion_tokens"))
    (pairs,) = _pace(run, now, Score.objects.all(), Count("pk"))
    return RunProgress(
        status=run.status,
        notice=run.notice,
        counts=stages,
        total=kept.total,
        done=kept.in_state(State.DONE),
        failed=kept.in_state(State.FAILED),
        reviewable=kept.in_state(State.DONE),
        scored_pairs=run.scored_pairs,
        teacher_calls=run.teacher_calls,
        prompt_tokens=run.prompt_tokens,
        completion_tokens=run.completion_tokens,
        cost=run.cost,
        forward_tokens=run.forward_tokens,
        tokens_per_second=tokens,
        pairs_per_second=pairs,
        eta_seconds=_eta(run, stages, calls),
        failures=dict(sorted(kept.reasons.items(), key=lambda pair: -pair[1])),
        workers_alive=queues_alive(),
    )


def failed_samples(run: Run) -> QuerySet[RunSample]:
    """The failed samples of a run with their texts, in order: ``error`` says why."""
    return (
        RunSample.objects.filter(run=run, state=State.FAILED)
        .select_related("sample")
        .order_by("position")
    )


def _pace(run: Run, now: datetime, rows: QuerySet[Any], *sums: Aggregate) -> list[float]:
    """``sums`` of the rows of the last minute, a second.

    Over less than a minute for a young run, and where there are more rows than a page may count.
    The run is told as no index knows it: the latest rows shall lead. By the run SQLite would read
    all of its samples each time, as it knows nothing of its tables' sizes.
    """
    of_run = rows.alias(of_run=F("run_sample__run_id") + 0).filter(of_run=run.pk)
    recent = of_run.filter(created_at__gte=now - RATE_WINDOW).order_by("-created_at")[:MOST_ROWS]
    named = {f"sum_{number}": made for number, made in enumerate(sums)}
    found = recent.aggregate(**named, rows=Count("pk"), oldest=Min("created_at"))
    if found["rows"] < MOST_ROWS:
        over = max(SHORTEST_WINDOW, min(RATE_WINDOW, now - run.created_at))
    else:
        over = max(timedelta(seconds=1), now - found["oldest"])
    return [(found[name] or 0) / over.total_seconds() for name in named]


def _eta(run: Run, counts: dict[str, dict[str, int]], calls_per_second: float) -> float | None:
    """Seconds until the end, from the teacher's pace: it is far slower than the student.

    How many calls a sample needs in a stage depends on the protocol, so it is taken from what was
    needed so far.
    """
    if run.status != Run.Status.RUNNING:
        return None
    places = Counter(
        {
            stage: sum(n for s, n in states.items() if s != State.FAILED)
            for stage, states in counts.items()
        }
    )
    first, second = places[Stage.REFLECT_INSTRUCTION], places[Stage.REFLECT_RESPONSE]
    between, after = places[Stage.SELECT_INSTRUCTION], places[Stage.SELECT_RESPONSE]
    gone = between + second + 2 * (after + places[Stage.DONE])
    left = 2 * first + between + second
    if not left:
        return 0.0
    if not gone or not calls_per_second:
        return None
    return left * (run.teacher_calls / gone) / calls_per_second


# -- The end of a run -----------------------------------------------------------------------------
@dataclass(frozen=True)
class RunSummary:
    """What came of a run, for a table at its end."""

    total: int
    done: int
    failed: int
    accepted_instructions: int
    accepted_responses: int
    kept: int
    unscorable: int  # pairs, originals and candidates
    teacher_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    forward_tokens: int  # that went through the student
    forward_tokens_apart: int  # that would have with the four pairs compared scored one by one
    stage_seconds: dict[str, float]  # see _stage_seconds


def run_summary(run: Run) -> RunSummary:
    run = Run.objects.get(pk=run.pk)
    samples = RunSample.objects.filter(run=run).aggregate(
        total=Count("pk"),
        done=Count("pk", filter=Q(state=State.DONE)),
        failed=Count("pk", filter=Q(state=State.FAILED)),
    )
    verdicts = Verdict.objects.filter(run_sample__run=run).aggregate(
        accepted_instructions=Count("pk", filter=Q(instruction_winner="candidate")),
        accepted_responses=Count("pk", filter=Q(response_winner="candidate")),
        kept=Count("pk", filter=Q(kept=True)),
    )
    return RunSummary(
        **samples,
        **verdicts,
        unscorable=Score.objects.filter(run_sample__run=run, status="unscorable").count(),
        teacher_calls=run.teacher_calls,
        prompt_tokens=run.prompt_tokens,
        completion_tokens=run.completion_tokens,
        cost=run.cost,
        forward_tokens=run.forward_tokens,
        forward_tokens_apart=run.forward_tokens_apart,
        stage_seconds=_stage_seconds(run),
    )


def _stage_seconds(run: Run) -> dict[str, float]:
    """Wall-clock seconds of each stage, without those in which the run stood still.

    Stages overlap, so they add up to more than the run.
    """
    calls = TeacherCall.objects.filter(run_sample__run=run)
    scores = Score.objects.filter(run_sample__run=run)
    of_response = Q(candidate__kind="response")
    return {
        Stage.REFLECT_INSTRUCTION.value: _asking_seconds(
            calls.filter(step__endswith="instruction")
        ),
        Stage.SELECT_INSTRUCTION.value: _seconds(scores.exclude(of_response)),
        Stage.REFLECT_RESPONSE.value: _asking_seconds(calls.filter(step__endswith="response")),
        Stage.SELECT_RESPONSE.value: _seconds(scores.filter(of_response)),
    }


def _asking_seconds(calls: QuerySet[TeacherCall]) -> float:
    """From the first question, which was sent its latency before its answer was stored."""
    first = calls.order_by("created_at").first()
    return _seconds(calls) + first.latency_seconds if first else 0.0


def _seconds(rows: QuerySet[TeacherCall] | QuerySet[Score]) -> float:
    """From the first to the last, less each gap in which nothing came for long."""
    times = rows.order_by("created_at").values_list("created_at", flat=True)
    gaps = ((later - earlier).total_seconds() for earlier, later in pairwise(times.iterator()))
    return sum(gap for gap in gaps if gap <= STANDSTILL_SECONDS)
