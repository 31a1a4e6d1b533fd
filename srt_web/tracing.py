"""Traces by OpenTelemetry. Read only where ``SRT_OTEL_ENDPOINT`` names a collector.

The official instrumentations make the spans: of requests (Django), tasks (Celery, from the process
that sends them to the worker that does them) and questions to a teacher (aiohttp). Each carries the
ids that log lines carry: ``srt.run``, ``srt.sample`` and their kin.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.trace import Status
except ImportError:
    raise ImproperlyConfigured(
        "SRT_OTEL_ENDPOINT is set, and OpenTelemetry is not installed: install srt-web[otel]."
    ) from None

from srt_web import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

# What may leave. Not among it: addresses with their query, which has words that somebody looked
# for, headers, and the words of exceptions, which quote what they are about.
ATTRIBUTES = {
    "celery.action",
    "celery.state",
    "celery.task_name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "messaging.destination",
    "messaging.message.id",
    "server.address",
    "server.port",
    "url.scheme",
}
OURS = "srt."


class CarefulExporter(SpanExporter):
    """Hands on what ``ATTRIBUTES`` names and our ids, and no events, links or descriptions."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_careful(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _careful(span: ReadableSpan) -> ReadableSpan:
    kept = {
        name: value
        for name, value in (span.attributes or {}).items()
        if name in ATTRIBUTES or name.startswith(OURS)
    }
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=kept,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class Named(SpanProcessor):
    """Gives each new span the ids that are known where it begins."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        span.set_attributes(_ours(logs.names()))


def _name_current(names: dict[str, object]) -> None:
    """Ids that become known within a span: of a request, or of what a task is about.

    Not that of a sample: a task works at many, and what it asks for each has a span of its own.
    """
    known = {name: value for name, value in names.items() if name != "sample"}
    trace.get_current_span().set_attributes(_ours(known))


def _ours(names: dict[str, object]) -> dict[str, str | int]:
    return {
        OURS + name: value if isinstance(value, int) else str(value)
        for name, value in names.items()
    }


def start(endpoint: str) -> None:
    """Send traces to the collector at ``endpoint``, by OTLP over HTTP, from now on.

    Everything else is said by the standard variables: OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME,
    OTEL_EXPORTER_OTLP_HEADERS and so on.
    """
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
    instrument(BatchSpanProcessor(CarefulExporter(exporter)))


def instrument(processor: SpanProcessor) -> Callable[[], None]:
    """Let ``processor`` have every span. Returns what undoes it."""
    os.environ.setdefault("OTEL_SERVICE_NAME", "srt-web")
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")  # the names of ATTRIBUTES
    provider = TracerProvider()
    provider.add_span_processor(Named())
    provider.add_span_processor(processor)
    instrumentors = (DjangoInstrumentor(), CeleryInstrumentor(), AioHttpClientInstrumentor())  # type: ignore[no-untyped-call]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    logs.follow(_name_current)

    def stop() -> None:
        logs.follow(None)
        for instrumentor in instrumentors:
            instrumentor.uninstrument()
        provider.shutdown()

    return stop
