from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, current_app
from django.conf import settings
from django.db import transaction

from refinement.embedded.ports import wait_for_port
from refinement.embedded.valkey import valkey_command
from refinement.services.dispatch import (
    delivered_to,
    messages_waiting,
    wake,
    wake_another,
    wake_now,
)
from tests.environment import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that may be killed, and a Celery application of its own that speaks to it."""
    broker = Broker(tmp_path)
    product = current_app._get_current_object()
    with Celery("test", broker=f"redis://127.0.0.1:{broker.port}/0") as app:
        app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        app.set_current()
        try:
            broker.start()
            yield broker
        finally:
            product.set_current()
            broker.kill()


class Broker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def start(self) -> None:
        command = valkey_command(folder=self.folder, port=self.port)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for_port(self.port, process=self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def test_a_wake_is_sent_to_its_own_queue(broker: Broker) -> None:
    wake_now("refinement.teach", 7)
    wake_now("refinement.teach", 8)
    assert messages_waiting("refinement.teach") == 2
    assert messages_waiting("refinement.score") == 0


@pytest.mark.django_db(transaction=True)
def test_a_wake_waits_for_the_commit_and_dies_with_a_rollback(broker: Broker) -> None:
    with transaction.atomic():
        wake("refinement.score", 1)
        assert messages_waiting("refinement.score") == 0
    assert messages_waiting("refinement.score") == 1
    with transaction.atomic():
        wake("refinement.score", 1)
        transaction.set_rollback(True)
    assert messages_waiting("refinement.score") == 1


def test_a_broker_that_is_down_breaks_nothing_and_is_found_again(
    broker: Broker, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake_now("refinement.teach", 1)
    broker.kill()
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: pytest.fail("somebody waits"))
    wake_now("refinement.teach", 2)
    assert "broker unreachable, the sweeper repeats refinement.teach" in caplog.text
    assert messages_waiting("refinement.teach") == 0
    broker.start()
    wake_now("refinement.teach", 3)
    assert messages_waiting("refinement.teach") >= 1


def test_a_process_may_take_its_wakes_itself(broker: Broker) -> None:
    mine: list[tuple[str, int]] = []
    with delivered_to(lambda task, object_id: mine.append((task, object_id))):
        wake_now("refinement.teach", 1)
    assert mine == [("refinement.teach", 1)]
    assert messages_waiting("refinement.teach") == 0


def test_one_more_worker_is_called_and_not_twice(broker: Broker) -> None:
    wake_another("refinement.score", 1)
    wake_another("refinement.score", 1)
    assert messages_waiting("refinement.score") == 1, "the first has not been taken yet"
    with delivered_to(lambda *_: pytest.fail("a process that is its own worker needs no other")):
        wake_another("refinement.score", 2)
