from __future__ import annotations

import sys
from datetime import timedelta
from types import ModuleType

import pytest
from django.utils import timezone

from refinement.models import Worker
from refinement.pipeline.heartbeats import Heartbeat, facts
from refinement.selectors.workers import queues_alive


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_alive_until_it_stops() -> None:
    heartbeat = Heartbeat(host="celery@here", queues=["teacher", "default"], beat_seconds=0.01)
    heartbeat.start()
    while not queues_alive():
        assert heartbeat._thread.is_alive()
    assert queues_alive() == {"teacher", "default"}
    first = Worker.objects.get().seen_at
    while Worker.objects.get().seen_at == first:
        assert heartbeat._thread.is_alive()
    heartbeat.stop()
    assert not Worker.objects.exists()


@pytest.mark.django_db
def test_a_killed_worker_is_missed_after_a_while() -> None:
    Worker.objects.create(
        name="killed", queues=["student"], seen_at=timezone.now() - timedelta(minutes=1)
    )
    assert queues_alive() == frozenset()


def test_a_torch_that_is_being_imported_ends_no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))  # nothing of it is there yet
    assert set(facts()) == {"memory_bytes"}
