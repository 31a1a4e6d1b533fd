"""What is wrong with the service, in sentences: what it is, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models.functions import Now
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from refinement.models import Run, WebhookDelivery, Worker
from refinement.selectors.workers import ALIVE_FOR, SWEEPER

if TYPE_CHECKING:
    from refinement.selectors.metrics import Figures

QUEUES = {
    "teacher": gettext_noop("asks the teachers"),
    "student": gettext_noop("scores pairs"),
    "default": gettext_noop("imports and exports"),
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
    return [
        Trouble(
            gettext("The broker does not answer: workers hear of new work late, or not at all."),
            gettext("Start Valkey again, or correct SRT_BROKER_URL. Nothing is lost."),
        )
    ]


def _workers(figures: Figures) -> list[Trouble]:
    alive = {queue for worker in figures.workers for queue in worker.queues}
    found = []
    for queue in QUEUES:
        waiting = figures.waiting.get(queue, 0)
        if queue not in alive:
            found.append(_dead(queue, waiting))
        elif figures.oldest_wait.get(queue, 0) > LONG_WAIT_SECONDS and waiting:
            minutes = round(figures.oldest_wait[queue] / 60)
            found.append(
                Trouble(
                    gettext("Something has waited %(minutes)d minutes for a %(queue)s worker.")
                    % {"minutes": minutes, "queue": queue},
                    gettext("They are all busy: start more of them, if it shall go faster."),
                    grave=False,
                )
            )
    return found


def _dead(queue: str, waiting: int) -> Trouble:
    sentences = [
        gettext("No %(queue)s worker lives, which %(does)s.")
        % {"queue": queue, "does": gettext(QUEUES[queue])}
    ]
    last = Worker.objects.filter(queues__icontains=queue).order_by("-seen_at").first()
    if last:
        at = timezone.localtime(last.seen_at)
        sentences.append(
            gettext("The last one was seen at %(time)s on %(day)s.")
            % {"time": date_format(at, "H:i"), "day": date_format(at, gettext("j F"))}
        )
    if waiting:
        sentences.append(gettext("Waiting for it: %(count)s.") % {"count": intcomma(waiting)})
    return Trouble(
        " ".join(sentences),
        gettext("Start one: celery -A srt_web worker -Q %(queue)s. Its log says why it ended.")
        % {"queue": queue},
    )


def _sweeper() -> list[Trouble]:
    since = Now() - max(SWEEP_LATE, ALIVE_FOR)
    if Worker.objects.filter(name=SWEEPER, seen_at__gt=since).exists():
        return []
    return [
        Trouble(
            gettext(
                "The sweeper does not run: what gets lost with a worker or the broker is not taken "
                "up."
            ),
            gettext("Start celery -A srt_web beat, once, and a worker of the default queue."),
        )
    ]


def _disk(figures: Figures) -> list[Trouble]:
    free, total = figures.disk_free_bytes, figures.disk_total_bytes
    if free > LITTLE_DISK_BYTES and free > LITTLE_DISK_PART * total:
        return []
    return [
        Trouble(
            gettext("The disk of the data folder is nearly full: %(free)s of %(total)s are left.")
            % {"free": filesizeformat(free), "total": filesizeformat(total)},
            gettext(
                "Delete datasets that nobody needs, or give it a larger disk, before uploads fail."
            ),
            grave=free < LITTLE_DISK_BYTES / 4,
        )
    ]


def _runs() -> list[Trouble]:
    """Running and paused runs that say something, such as that their teacher fails."""
    told = Run.objects.filter(status__in=[Run.Status.RUNNING, Run.Status.PAUSED]).exclude(notice="")
    return [
        Trouble(
            gettext("Run %(number)d “%(name)s” (%(status)s, teacher “%(teacher)s”): %(notice)s")
            % {
                "number": run.pk,
                "name": run.name,
                "status": run.get_status_display().lower(),
                "teacher": run.teacher.name,
                "notice": _one_line(run.notice),
            },
            gettext("Mend what it says, then resume it.")
            if run.status == Run.Status.PAUSED
            else "",
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
            gettext("%(count)s webhook messages of the last day were not taken in ten tries.")
            % {"count": intcomma(given_up)},
            gettext("Their owners see the answers under /api/v1/webhooks/…/deliveries."),
            grave=False,
        )
    ]


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
