"""The state of the service: in words for admins, in figures for Prometheus."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from refinement.models import Worker
from refinement.selectors.health import QUEUES, troubles
from refinement.selectors.metrics import Figures, figures
from refinement.services.dispatch import broker_answers
from refinement.web.http import Request, staff_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric


@staff_only
@never_cache
@require_GET
def status(request: Request) -> HttpResponse:
    now = figures()
    context = {
        "troubles": troubles(now, broker_answers=broker_answers()),
        "figures": now,
        "queues": [
            {
                "name": queue,
                "does": gettext(does),
                "workers": sum(queue in worker.queues for worker in now.workers),
                "waiting": now.waiting[queue],
                "in_work": now.in_work[queue],
                "oldest": now.oldest_wait[queue],
            }
            for queue, does in QUEUES.items()
        ],
        "workers": Worker.objects.order_by("-seen_at")[:50],
    }
    return render(request, "status/page.html", context)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever sends SRT_METRICS_TOKEN as a bearer, and for admins."""
    if not _may_read(request):
        raise PermissionDenied("Send SRT_METRICS_TOKEN as a bearer token, or sign in as an admin.")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(figures()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    wanted = settings.METRICS_TOKEN.encode()
    if wanted and hmac.compare_digest(sent, wanted):
        return True
    return bool(request.user.is_authenticated and request.user.is_staff)


class _Collector:
    """One look at the figures as metrics. Totals may fall when something is deleted: gauges."""

    def __init__(self, now: Figures) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        now = self._now
        yield _by("srt_waiting", "Samples, imports or exports that wait", "queue", now.waiting)
        yield _by("srt_in_work", "What workers hold", "queue", now.in_work)
        yield _by("srt_oldest_wait_seconds", "Of what waits", "queue", now.oldest_wait)
        yield _by("srt_workers", "Workers that live", "queue", _alive(now))
        yield _by("srt_runs", "Runs", "status", now.runs)
        yield _by("srt_failed_samples", "Of runs that are not over", "reason", now.failures)
        yield _by("srt_webhook_deliveries", "Webhook messages", "state", now.deliveries)
        for name, value in now.totals.items():
            yield GaugeMetricFamily(f"srt_{name}", f"{name.replace('_', ' ')} of all runs", value)
        yield GaugeMetricFamily("srt_teacher_calls_per_second", "In a minute", now.calls_per_second)
        yield GaugeMetricFamily(
            "srt_tokens_per_second", "Written by teachers", now.tokens_per_second
        )
        yield GaugeMetricFamily("srt_pairs_per_second", "Scored", now.pairs_per_second)
        yield GaugeMetricFamily("srt_disk_free_bytes", "Of the data folder", now.disk_free_bytes)
        yield from self._memory()

    def _memory(self) -> Iterator[Metric]:
        for name, words in (
            ("memory_bytes", "Resident memory"),
            ("gpu_memory_bytes", "GPU memory that torch has reserved"),
        ):
            family = GaugeMetricFamily(
                f"srt_worker_{name}", f"{words} of a worker", labels=["worker"]
            )
            for worker in self._now.workers:
                if name in worker.facts:
                    family.add_metric([worker.name], worker.facts[name])
            yield family


def _alive(now: Figures) -> dict[str, int]:
    return {q: sum(q in worker.queues for worker in now.workers) for q in QUEUES}


def _by(name: str, words: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, number in values.items():
        family.add_metric([value or "unknown"], number)
    return family


urlpatterns = [
    path("status", status, name="status"),
    path("metrics", metrics, name="metrics"),
]
