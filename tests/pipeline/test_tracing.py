"""Traces: what each span says, and that no text and no key is in one."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from refinement.models import Candidate, User
from refinement.pipeline import tasks
from srt_web import tracing
from tests.environment import REPOSITORY
from tests.fake_teacher import FakeTeacher, Settings
from tests.pipeline.world import make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.pipeline.world import World

SECRET = "sk-the-key-of-the-teacher"
MARK = "marmalade"  # in every text of the run, and in what somebody looks for


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = tracing.instrument(SimpleSpanProcessor(tracing.CarefulExporter(exporter)))
    yield exporter
    stop()


@pytest.fixture
def world(
    transactional_db: None,
    student_path: Path,
    wakes: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setenv("TEACHER_KEY", SECRET)
    with FakeTeacher(Settings(key=SECRET)) as teacher:
        world = make_world(student_path=student_path, base_url=teacher.base_url)
        world.endpoint.api_key_variable = "TEACHER_KEY"
        world.endpoint.save()
        yield world


def said(spans: tuple[ReadableSpan, ...]) -> str:
    return "\n".join(span.to_json() for span in spans)


def test_a_task_and_its_questions_say_which_run_and_sample(
    world: World, exporter: InMemorySpanExporter
) -> None:
    run = world.run([f"Tell me of {MARK} and of toast, part {n}." for n in range(2)])
    exporter.clear()
    tasks.teach.apply(args=[run.pk])
    assert Candidate.objects.filter(run_sample__run=run).count() == 2
    spans = exporter.get_finished_spans()
    [task] = [span for span in spans if span.name == "run/refinement.teach"]
    assert task.attributes is not None
    assert task.attributes["srt.run"] == run.pk
    assert "srt.sample" not in task.attributes
    questions = [span for span in spans if span.name == "POST"]
    samples = set(run.run_samples.values_list("pk", flat=True))
    assert {span.attributes["srt.sample"] for span in questions if span.attributes} == samples
    for span in questions:
        assert span.attributes is not None
        assert span.attributes["srt.run"] == run.pk
        assert span.attributes["http.response.status_code"] == 200
        assert span.attributes["server.address"] == "127.0.0.1"
        assert span.context is not None
        assert task.context is not None
        assert span.context.trace_id == task.context.trace_id
    assert MARK not in said(spans)
    assert SECRET not in said(spans)


def test_a_request_says_its_route_and_not_what_was_looked_for(
    world: World, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.run([f"Tell me of {MARK}."])
    client = Client(headers={"X-Request-ID": "r-1", "Authorization": f"Bearer {SECRET}"})
    client.force_login(User.objects.get(pk=world.user.pk))
    exporter.clear()
    answer = client.get(f"/runs/{run.pk}/review", {"q": MARK})
    assert answer.status_code == 200
    [span] = exporter.get_finished_spans()
    assert span.name == "GET runs/<int:run_id>/review"
    assert span.attributes is not None
    assert span.attributes["http.route"] == "runs/<int:run_id>/review"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["srt.request"] == "r-1"
    assert MARK not in said((span,))
    assert SECRET not in said((span,))


def test_what_went_wrong_is_told_by_its_kind_and_not_by_its_words(
    world: World, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run_id: int, **_: Any) -> None:
        raise ValueError(f"cannot do it with {MARK}")

    monkeypatch.setattr(tasks.scoring, "score", fail)
    run = world.run(1)
    exporter.clear()
    tasks.score.apply(args=[run.pk])
    [span] = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert span.attributes is not None
    assert span.attributes["srt.run"] == run.pk
    assert span.attributes["celery.state"] == "FAILURE"
    assert MARK not in said((span,))
    assert span.events == ()


def test_other_attributes_do_not_leave(exporter: InMemorySpanExporter) -> None:
    own = InMemorySpanExporter()
    careful = SimpleSpanProcessor(tracing.CarefulExporter(own))
    provider = tracing.TracerProvider()
    provider.add_span_processor(careful)
    with provider.get_tracer("test").start_as_current_span("work") as span:
        span.set_attributes({"url.full": f"http://x/?q={MARK}", "srt.run": 7, "server.port": 80})
        span.add_event(MARK)
    [kept] = own.get_finished_spans()
    assert dict(kept.attributes or {}) == {"srt.run": 7, "server.port": 80}
    assert MARK not in said((kept,))


# -- On and off, in a process of its own ----------------------------------------------------------
LOOK = """
import json, sys
import django
django.setup()
from django.conf import settings
modules = sorted(name for name in sys.modules if name.startswith("opentelemetry"))
print(json.dumps([modules, settings.MIDDLEWARE[0]]))
"""


def begin(env: dict[str, str], *, code: str = LOOK) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=env, capture_output=True, text=True
    )


def test_nothing_of_it_is_imported_where_it_is_off(process_env: dict[str, str]) -> None:
    modules, first = json.loads(begin(process_env).stdout)
    assert modules == []
    assert first.startswith("django.")


def test_it_is_on_where_a_collector_is_named(process_env: dict[str, str]) -> None:
    done = begin(process_env | {"SRT_OTEL_ENDPOINT": "http://127.0.0.1:9"})
    modules, first = json.loads(done.stdout)
    assert "opentelemetry.instrumentation.celery" in modules
    assert first.startswith("opentelemetry.instrumentation.django")


REQUEST = """
import django
django.setup()
from django.test import Client
Client(headers={"Host": "localhost"}).get("/healthz")
"""


def test_a_collector_gets_them_over_http(process_env: dict[str, str]) -> None:
    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            plain = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            got.append((self.path, plain))
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_port}"
        done = begin(process_env | {"SRT_OTEL_ENDPOINT": where}, code=REQUEST)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    [(path, body)] = got
    assert path == "/v1/traces"
    assert b"srt-web" in body
    assert b"GET healthz" in body


def test_without_its_packages_it_says_what_to_install(process_env: dict[str, str]) -> None:
    gone = "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n" + LOOK
    done = begin(process_env | {"SRT_OTEL_ENDPOINT": "http://127.0.0.1:9"}, code=gone)
    assert done.returncode != 0
    assert "OpenTelemetry is not installed: install srt-web[otel]." in done.stderr
