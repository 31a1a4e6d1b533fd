"""The two addresses for machines: open to all, honest about what does not answer."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from celery import current_app
from django.db import connections
from django.utils import timezone

from refinement.models import Worker
from refinement.selectors.workers import ALIVE_FOR
from tests.environment import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client


@pytest.fixture
def workers(db: None) -> None:
    for queue in ("teacher", "student", "default"):
        Worker.objects.create(name=queue, queues=[queue], seen_at=timezone.now())


@pytest.fixture
def broker_port() -> Iterator[int]:
    """The port of the broker that this process talks to, to be changed by the test."""
    before = current_app.conf.broker_url
    yield free_port()
    current_app.conf.broker_url = before


def test_healthz_needs_no_login_and_no_database(client: Client) -> None:
    # Without a database fixture any query raises.
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert "no-store" in response["Cache-Control"]


def test_readyz_is_ok_when_everything_answers(
    client: Client, workers: None, valkey_url: str
) -> None:
    response = client.get("/readyz")
    assert response.json() == {"status": "ok", "problems": []}
    assert response.status_code == 200


def test_readyz_names_each_queue_that_nobody_serves(
    client: Client, workers: None, valkey_url: str
) -> None:
    long_ago = timezone.now() - ALIVE_FOR - timedelta(seconds=1)
    Worker.objects.filter(name="student").update(seen_at=long_ago)
    Worker.objects.get(name="default").delete()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["problems"] == [
        "No default worker has been seen lately.",
        "No student worker has been seen lately.",
    ]


def test_readyz_tells_that_the_broker_is_down(
    client: Client, workers: None, broker_port: int
) -> None:
    current_app.conf.broker_url = f"redis://127.0.0.1:{broker_port}/0"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["problems"] == ["The broker does not answer."]


def test_readyz_does_not_hang_on_a_broker_that_says_nothing(
    client: Client, workers: None, broker_port: int
) -> None:
    with socket.create_server(("127.0.0.1", broker_port), backlog=8):
        current_app.conf.broker_url = f"redis://127.0.0.1:{broker_port}/0"
        assert client.get("/readyz").json()["problems"] == ["The broker does not answer."]


@pytest.mark.django_db(transaction=True)
def test_readyz_tells_that_the_database_is_down(
    client: Client, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = connections["default"]
    database.close()
    with monkeypatch.context() as patch:
        patch.setattr(database, "settings_dict", database.settings_dict | {"NAME": "/no/where"})
        response = client.get("/readyz")
        database.close()
    assert response.status_code == 503
    assert response.json()["problems"] == ["The database does not answer."]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_reading_is_allowed(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
