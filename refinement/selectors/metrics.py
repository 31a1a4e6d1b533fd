"""How the service does, in figures: read from the database, so that any web process can tell.

Totals come from columns that runs keep; rows are only counted of runs that are running.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from refinement.models import (
    Dataset,
    Export,
    Run,
    RunSample,
    Score,
    TeacherCall,
    WebhookDelivery,
    Worker,
)
from refinement.selectors.workers import ALIVE_FOR

if TYPE_CHECKING:
    from collections.abc import Mapping

RATE_WINDOW = timedelta(minutes=1)
_STAGES = {
    "teacher": [RunSample.Stage.REFLECT_INSTRUCTION, RunSample.Stage.REFLECT_RESPONSE],
    "student": [RunSample.Stage.SELECT_INSTRUCTION, RunSample.Stage.SELECT_RESPONSE],
}


@dataclass(frozen=True)
class Figures:
    """``waiting`` and ``in_work`` count samples (imports and exports for ``default``) by queue;
    ``oldest_wait`` is how long the oldest of them has waited, in seconds."""

    waiting: dict[str, int]
    in_work: dict[str, int]
    oldest_wait: dict[str, float]
    runs: dict[str, int]  # by status
    totals: dict[str, float]  # of all runs: calls, tokens, cost, scored pairs
    failures: dict[str, int]  # reason -> samples, of runs that are not over
    calls_per_second: float
    tokens_per_second: float
    pairs_per_second: float
    workers: list[Worker] = field(default_factory=list)
    deliveries: dict[str, int] = field(default_factory=dict)  # of webhooks, by state
    disk_free_bytes: int = 0
    disk_total_bytes: int = 0


def figures() -> Figures:
    now = timezone.now()
    waiting, in_work, oldest = _samples(now)
    open_files, oldest["default"] = _files(now)
    waiting["default"], in_work["default"] = open_files
    calls = TeacherCall.objects.filter(created_at__gte=now - RATE_WINDOW).aggregate(
        calls=Count("pk"), tokens=Coalesce(Sum("completion_tokens"), 0)
    )
    seconds = RATE_WINDOW.total_seconds()
    disk = shutil.disk_usage(_existing(Path(settings.DATA_DIR)))
    return Figures(
        waiting=waiting,
        in_work=in_work,
        oldest_wait=oldest,
        runs=_counts(Run.objects.order_by().values_list("status").annotate(n=Count("pk"))),
        totals=_totals(),
        failures=_failures(),
        calls_per_second=calls["calls"] / seconds,
        tokens_per_second=calls["tokens"] / seconds,
        pairs_per_second=Score.objects.filter(created_at__gte=now - RATE_WINDOW).count() / seconds,
        workers=list(Worker.objects.filter(seen_at__gte=Now() - ALIVE_FOR)),
        deliveries=_counts(_deliveries().annotate(n=Count("pk"))),
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
    )


def _samples(now: datetime) -> tuple[dict[str, int], dict[str, int], dict[str, float]]:
    waiting: dict[str, int] = {}
    in_work: dict[str, int] = {}
    oldest: dict[str, float] = {}
    running = RunSample.objects.filter(run__status=Run.Status.RUNNING)
    for queue, stages in _STAGES.items():
        found = running.filter(stage__in=stages).aggregate(
            ready=Count("pk", filter=Q(state=RunSample.State.READY)),
            leased=Count("pk", filter=Q(state=RunSample.State.LEASED)),
            since=Min("updated_at", filter=Q(state=RunSample.State.READY)),
        )
        waiting[queue], in_work[queue] = found["ready"], found["leased"]
        oldest[queue] = _seconds_since(found["since"], now)
    return waiting, in_work, oldest


def _files(now: datetime) -> tuple[tuple[int, int], float]:
    """Imports and exports that wait, and that are in work; how long the oldest has waited."""
    pending, working, since = 0, 0, []
    for model, at_work in ((Dataset, "importing"), (Export, "writing")):
        found = model.objects.aggregate(
            pending=Count("pk", filter=Q(status="pending")),
            working=Count("pk", filter=Q(status=at_work)),
            since=Min("created_at", filter=Q(status="pending")),
        )
        pending, working = pending + found["pending"], working + found["working"]
        since.append(_seconds_since(found["since"], now))
    return (pending, working), max(since)


def _deliveries() -> Any:
    return WebhookDelivery.objects.order_by().values_list("state")


def _failures() -> dict[str, int]:
    open_runs = [Run.Status.RUNNING, Run.Status.PAUSED]
    failed = RunSample.objects.filter(state=RunSample.State.FAILED, run__status__in=open_runs)
    return _counts(failed.order_by().values_list("error_reason").annotate(n=Count("pk")))


def _totals() -> dict[str, float]:
    names = ("teacher_calls", "prompt_tokens", "completion_tokens", "cost", "scored_pairs")
    found: Mapping[str, Any] = Run.objects.aggregate(**{f"all_{name}": Sum(name) for name in names})
    return {name: float(found[f"all_{name}"] or 0) for name in names}


def _counts(rows: Any) -> dict[str, int]:
    return dict(Counter(dict(rows)))


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max((now - moment).total_seconds(), 0.0)


def _existing(folder: Path) -> Path:
    """The folder, or the first above it that is there already."""
    return next(place for place in (folder, *folder.parents) if place.exists())
