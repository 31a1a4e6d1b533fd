"""What is wrong with the service, in sentences: what it is, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models.functions import Now
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from refinement.models import Run, WebhookDelivery, Worker
from refinement.selectors.workers import ALIVE_FOR, SWEEPER

if TYPE_CHECKING:
    from refinement.selectors.metrics import Figures

QUEUES = {
    "teacher": "asks the teachers",
    "student": "scores pairs",
    "default": "imports and exports",
}
LITTLE_DISK_BYTES = 2 * 1024**3
LITTLE_DISK_PART = 0.05
LONG_WAIT_SECONDS = 600
SWEEP_LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """``grave``: work stands still."""

    what: str
    next: str
    grave: bool = True


def troubles(figures: Figures, *, broker_answers: bool) -> list[Trouble]:
    """The grave ones first. Empty: all is well."""
    found = [*_broker(broker_answers), *_workers(figures), *_sweeper(), *_disk(figures)]
    found += [*_runs(), *_webhooks()]
    return sorted(found, key=lambda trouble: not trouble.grave)


def _broker(answers: bool) -> list[Trouble]:
    if answers:
        return []
    words = "The broker does not answer: workers hear of new work late, or not at all."
    return [Trouble(words, "Start Valkey again, or correct SRT_BROKER_URL. Nothing is lost.")]


def _workers(figures: Figures) -> list[Trouble]:
    alive = {queue for worker in figures.workers for queue in worker.queues}
    found = []
    for queue, does in QUEUES.items():
        waiting = figures.waiting.get(queue, 0)
        if queue not in alive:
            last = Worker.objects.filter(queues__icontains=queue).order_by("-seen_at").first()
            seen = f"; the last one was seen at {last.seen_at:%H:%M on %d %B}" if last else ""
            found.append(
                Trouble(
                    f"No {queue} worker lives, which {does}{seen}."
                    + (f" Waiting for it: {waiting:,}." if waiting else ""),
                    f"Start one: celery -A srt_web worker -Q {queue}. Its log says why it ended.",
                )
            )
        elif figures.oldest_wait.get(queue, 0) > LONG_WAIT_SECONDS and waiting:
            minutes = round(figures.oldest_wait[queue] / 60)
            found.append(
                Trouble(
                    f"Something has waited {minutes} minutes for a {queue} worker.",
                    "They are all busy: start more of them, if it shall go faster.",
                    grave=False,
                )
            )
    return found


def _sweeper() -> list[Trouble]:
    since = Now() - max(SWEEP_LATE, ALIVE_FOR)
    if Worker.objects.filter(name=SWEEPER, seen_at__gt=since).exists():
        return []
    return [
        Trouble(
            "The sweeper does not run: what gets lost with a worker or the broker is not taken up.",
            "Start celery -A srt_web beat, once, and a worker of the default queue.",
        )
    ]


def _disk(figures: Figures) -> list[Trouble]:
    free, total = figures.disk_free_bytes, figures.disk_total_bytes
    if free > LITTLE_DISK_BYTES and free > LITTLE_DISK_PART * total:
        return []
    return [
        Trouble(
            f"The disk of the data folder is nearly full: {filesizeformat(free)} of "
            f"{filesizeformat(total)} are left.",
            "Delete datasets that nobody needs, or give it a larger disk, before uploads fail.",
            grave=free < LITTLE_DISK_BYTES / 4,
        )
    ]


def _runs() -> list[Trouble]:
    """Running and paused runs that say something, such as that their teacher fails."""
    told = Run.objects.filter(status__in=[Run.Status.RUNNING, Run.Status.PAUSED]).exclude(notice="")
    return [
        Trouble(
            f"Run {run.pk} “{run.name}” ({run.get_status_display().lower()}, teacher "
            f"“{run.teacher.name}”): {_one_line(run.notice)}",
            "Mend what it says, then resume it." if run.status == Run.Status.PAUSED else "",
            grave=run.status == Run.Status.PAUSED,
        )
        for run in told.select_related("teacher")[:20]
    ]


def _webhooks() -> list[Trouble]:
    recent = timezone.now() - timedelta(days=1)
    given_up = WebhookDelivery.objects.filter(
        state=WebhookDelivery.State.FAILED, created_at__gte=recent
    ).count()
    if not given_up:
        return []
    return [
        Trouble(
            f"{given_up:,} webhook messages of the last day were not taken in ten tries.",
            "Their owners see the answers under /api/v1/webhooks/…/deliveries.",
            grave=False,
        )
    ]


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
