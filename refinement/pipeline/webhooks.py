"""Sending what webhooks are owed: signed, to checked addresses only, again until it is taken."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import logging
import socket
import ssl
import time
from datetime import timedelta
from urllib.parse import urlsplit

from django.db.models import Q
from django.db.models.functions import Now

from refinement.method.addresses import AddressRefusedError, addresses_of
from refinement.models import WebhookDelivery
from refinement.services.webhooks import secret_of, webhook_rule

logger = logging.getLogger(__name__)

State = WebhookDelivery.State
PATIENCE_SECONDS = 10.0
MOST_TRIES = 10  # the last one comes about 3 hours after the first
FIRST_WAIT = timedelta(seconds=20)
LEASE = timedelta(seconds=60)  # of one try: another worker may take it after so long
KEPT_FOR = timedelta(days=30)


def deliver(delivery_id: int) -> None:
    """One try. Does nothing for a delivery that is not due, or that another worker has in hand."""
    claimed = WebhookDelivery.objects.filter(
        pk=delivery_id, state=State.WAITING, next_try_at__lte=Now()
    ).update(next_try_at=Now() + LEASE)
    if not claimed:
        return
    delivery = WebhookDelivery.objects.select_related("webhook").get(pk=delivery_id)
    try:
        status = post(delivery.webhook.url, delivery.body, secret=secret_of(delivery.webhook))
        taken, answer = 200 <= status < 300, f"status {status}"
    except (OSError, http.client.HTTPException, AddressRefusedError, UnicodeError) as error:
        taken, answer = False, str(error) or type(error).__name__
    _note(delivery, taken=taken, answer=answer)


def due_deliveries(limit: int) -> list[int]:
    """What is owed now, the oldest first; what is long past is forgotten."""
    old = Q(created_at__lt=Now() - KEPT_FOR)
    WebhookDelivery.objects.filter(old).exclude(state=State.WAITING).delete()
    due = WebhookDelivery.objects.filter(state=State.WAITING, next_try_at__lte=Now())
    return list(due.order_by("next_try_at").values_list("pk", flat=True)[:limit])


def _note(delivery: WebhookDelivery, *, taken: bool, answer: str) -> None:
    attempts = delivery.attempts + 1
    state = State.SENT if taken else State.FAILED if attempts >= MOST_TRIES else State.WAITING
    WebhookDelivery.objects.filter(pk=delivery.pk, state=State.WAITING).update(
        state=state,
        attempts=attempts,
        answer=answer[:200],
        next_try_at=Now() + FIRST_WAIT * 2 ** (attempts - 1),
    )
    if not taken:
        logger.warning("webhook %d: try %d failed: %s", delivery.webhook_id, attempts, answer)


def signature(body: str, *, secret: str, at: int) -> str:
    """``t=…,v1=…``: HMAC-SHA256 over time and body, so that an old message cannot be sent again."""
    digest = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def post(url: str, body: str, *, secret: str) -> int:
    """Send to the address that was checked, and follow no redirect. The answer's status.

    Raises AddressRefusedError, OSError or HTTPException.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = str(parts.hostname), parts.port or (443 if secure else 80)
    found = addresses_of(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    address = webhook_rule().choose(host, port, found)[0]
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
    raw = socket.create_connection((str(address), port), timeout=PATIENCE_SECONDS)
    try:
        connection.sock = (
            ssl.create_default_context().wrap_socket(raw, server_hostname=host) if secure else raw
        )
        connection.request(
            "POST",
            f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}",
            body=body.encode(),
            headers={
                "Content-Type": "application/json",
                "User-Agent": "srt-web",
                "X-SRT-Signature": signature(body, secret=secret, at=int(time.time())),
            },
        )
        return connection.getresponse().status
    finally:
        connection.close()
        raw.close()
