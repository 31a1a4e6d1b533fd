"""Webhooks: told once it is true, signed, and again until they are taken."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from refinement.models import Run, Webhook, WebhookDelivery
from refinement.pipeline import webhooks as sender
from refinement.services import runs, webhooks
from refinement.services.budget import stop_for_budget
from refinement.services.errors import ServiceError
from tests.environment import REPOSITORY
from tests.review_room import Room, make_room

if TYPE_CHECKING:
    from collections.abc import Iterator


class Listener(ThreadingHTTPServer):
    """Answers with ``statuses``, one after the other, and keeps what it was sent."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}/hook?from=srt"


class Answer(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/hook?from=srt"
        self.server.got.append((self.headers["X-SRT-Signature"], body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def room(db: None, settings: Any) -> Room:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    return make_room()


def make(room: Room, listener: Listener, *events: str) -> tuple[Webhook, str]:
    return webhooks.make_webhook(
        project=room.project, url=listener.url, events=events or ["run.finished"], user=room.owner
    )


def finish(room: Room) -> None:
    assert runs.complete_if_finished(run_id=room.run.pk)


def deliver_what_is_due() -> None:
    for delivery_id in sender.due_deliveries(10):
        sender.deliver(delivery_id)


def test_a_finished_run_is_told_once_and_signed(room: Room, listener: Listener) -> None:
    _, secret = make(room, listener)
    make(room, listener, "export.ready")
    finish(room)
    assert not runs.complete_if_finished(run_id=room.run.pk)
    deliver_what_is_due()
    deliver_what_is_due()
    [(header, body)] = listener.got
    message = json.loads(body)
    assert message["event"] == "run.finished"
    assert message["run"]["id"] == room.run.pk
    page = (REPOSITORY / "docs" / "api.md").read_text()
    [check] = re.findall(r"```python\n(import hashlib.*?)```", page, re.DOTALL)
    code: dict[str, Any] = {}
    exec(check, code)  # noqa: S102 - what the docs tell receivers to do
    assert code["is_genuine"](header, body, secret)
    assert not code["is_genuine"](header, body + b" ", secret)
    assert not code["is_genuine"](header, body, secret + "0")
    assert not code["is_genuine"]("t=1,v1=" + header.partition("v1=")[2], body, secret)


def test_a_receiver_that_is_down_is_told_later(room: Room, listener: Listener) -> None:
    listener.statuses = [500, 302]
    make(room, listener)
    finish(room)
    for attempt in (1, 2, 3):
        deliver_what_is_due()
        delivery = WebhookDelivery.objects.get()
        assert delivery.attempts == attempt
        assert sender.due_deliveries(10) == []
        WebhookDelivery.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
    assert delivery.state == "sent"
    assert len({body for _, body in listener.got}) == 1
    assert len(listener.got) == 3  # no redirect was followed


def test_after_ten_tries_it_is_given_up(room: Room, listener: Listener) -> None:
    make(room, listener)
    finish(room)
    WebhookDelivery.objects.update(attempts=9)
    listener.statuses = [404]
    deliver_what_is_due()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.answer) == ("failed", "status 404")


def test_private_addresses_are_refused_at_making_and_at_sending(
    room: Room, listener: Listener, settings: Any
) -> None:
    make(room, listener)
    settings.WEBHOOK_NETWORKS = []
    with pytest.raises(ServiceError, match="SRT_WEBHOOK_NETWORKS"):
        make(room, listener)
    with pytest.raises(ServiceError, match="not allowed"):
        webhooks.make_webhook(
            project=room.project,
            url="http://169.254.169.254/latest/meta-data",
            events=["run.finished"],
            user=room.owner,
        )
    finish(room)
    deliver_what_is_due()
    assert listener.got == []
    assert "private network" in WebhookDelivery.objects.get().answer


def test_a_run_that_pauses_itself_is_told(room: Room, listener: Listener) -> None:
    make(room, listener, "run.paused")
    assert runs.halt_run(run_id=room.run.pk, notice="The key is wrong.")
    deliver_what_is_due()
    assert json.loads(listener.got[0][1])["run"]["notice"] == "The key is wrong."


@pytest.mark.parametrize(
    "url", ["", "ftp://example.org", "https://me:secret@example.org/", "https://ex ample.org", "x"]
)
def test_what_is_no_address(room: Room, url: str) -> None:
    with pytest.raises(ServiceError):
        webhooks.make_webhook(project=room.project, url=url, events=["run.finished"], user=None)


def test_a_spent_budget_is_told(room: Room, listener: Listener) -> None:
    make(room, listener, "run.budget_reached")
    Run.objects.update(budget_tokens=1, prompt_tokens=1)
    assert stop_for_budget(run_id=room.run.pk)
    assert not stop_for_budget(run_id=room.run.pk)
    deliver_what_is_due()
    [(_, body)] = listener.got
    assert json.loads(body)["event"] == "run.budget_reached"
