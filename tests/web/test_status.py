"""The state of the service, in words and in figures."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from refinement.models import Run, RunSample, Worker
from refinement.pipeline import heartbeats, sweeper
from refinement.selectors import health
from refinement.web import status
from tests.environment import REPOSITORY
from tests.web.conftest import alive

if TYPE_CHECKING:
    from tests.web.conftest import House

TOKEN = {"Authorization": "Bearer for prometheus"}


@pytest.fixture(autouse=True)
def _broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "broker_answers", lambda: True)


def page(house: House) -> str:
    return house.visitor("staff").get("/status").content.decode()


def test_all_is_well(house: House) -> None:
    alive("teacher", "student", "default")
    Worker.objects.create(name="sweeper", seen_at=timezone.now())
    assert "All is well" in page(house)


def test_each_trouble_is_told_with_its_remedy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "broker_answers", lambda: False)
    monkeypatch.setattr(health, "LITTLE_DISK_BYTES", 2**62)
    worker = alive("teacher")
    Worker.objects.filter(pk=worker.pk).update(seen_at=timezone.now() - timedelta(hours=1))
    Run.objects.update(status="paused", notice="Paused. The key in K was refused.\x1b[31m")
    text = page(house)
    for words in (
        "The broker does not answer",
        "No teacher worker lives, which asks the teachers. The last one was seen at",
        "No student worker lives",
        "celery -A srt_web worker -Q default",
        "The sweeper does not run",
        "nearly full",
        "The key in K was refused.␛[31m",
    ):
        assert words in text, words


def test_the_sweeper_and_workers_say_that_they_live(house: House, valkey_url: str) -> None:
    sweeper.sweep()
    heartbeat = heartbeats.Heartbeat(host="test", queues=["student"], beat_seconds=0.01)
    heartbeat._write()
    row = Worker.objects.get(name=heartbeat.name)
    assert row.facts["memory_bytes"] > 10_000_000
    assert "The sweeper does not run" not in page(house)


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_for_prometheus(house: House, settings: Any) -> None:
    settings.METRICS_TOKEN = "for prometheus"
    worker = alive("student")
    worker.facts = {"memory_bytes": 5, "gpu_memory_bytes": 7}
    worker.save()
    house.room.add(state="ready")
    RunSample.objects.filter(state="ready").update(
        updated_at=timezone.now() - timedelta(seconds=100)
    )
    Run.objects.update(teacher_calls=12, cost="0.5")
    answer = Client(headers=TOKEN).get("/metrics")
    assert answer.status_code == 200
    found = samples(answer.content.decode())
    assert found["srt_waiting", "teacher"] == 1
    assert 100 <= found["srt_oldest_wait_seconds", "teacher"] < 200
    assert found["srt_workers", "student"] == 1
    assert found["srt_workers", "teacher"] == 0
    assert found["srt_runs", "running"] == 2  # of the house and of the stranger's
    assert found["srt_failed_samples", "refusal"] == 1
    assert found[("srt_teacher_calls",)] == 24
    assert found["srt_worker_gpu_memory_bytes", worker.name] == 7
    assert found[("srt_disk_free_bytes",)] > 0


def test_figures_are_for_who_may_read_them(house: House, settings: Any) -> None:
    assert Client(headers={"Authorization": "Bearer "}).get("/metrics").status_code == 403
    settings.METRICS_TOKEN = "for prometheus"
    assert Client(headers={"Authorization": "Bearer nonsense"}).get("/metrics").status_code == 403
    assert house.visitor("owner").get("/metrics").status_code == 403
    assert house.visitor("staff").get("/metrics").status_code == 200


def test_the_board_and_the_docs_ask_for_what_there_is(house: House) -> None:
    answer = house.visitor("staff").get("/metrics").content.decode()
    there = {family.name for family in text_string_to_metric_families(answer)}
    docs = REPOSITORY / "docs"
    told = set(re.findall(r"`(srt_\w+)`", (docs / "operations.md").read_text()))
    told -= {"srt_run", "srt_sample", "srt_dataset", "srt_export", "srt_delivery", "srt_request"}
    board = json.loads((docs / "grafana.json").read_text())
    asked = {target["expr"] for panel in board["panels"] for target in panel["targets"]}
    assert told == there
    assert asked <= there
