"""Webhooks: telling other programs what happened. ``pipeline/webhooks.py`` sends."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext

from refinement.method.addresses import AddressRefusedError, AddressRule, parse_networks
from refinement.models import Webhook, WebhookDelivery
from refinement.services import audit
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refinement.models import Export, Project, Run, User

MOST_OF_A_PROJECT = 20


def make_webhook(
    *, project: Project, url: str, events: Iterable[str], user: User | None
) -> tuple[Webhook, str]:
    """A new webhook and the secret that signs what it is sent. Raises ServiceError."""
    chosen = [event for event in Webhook.Event.values if event in set(events)]
    if not chosen:
        raise ServiceError(
            gettext("Choose at least one event of %(values)s.")
            % {"values": ", ".join(Webhook.Event.values)}
        )
    if Webhook.objects.filter(project=project).count() >= MOST_OF_A_PROJECT:
        raise ServiceError(
            gettext("A project may have %(most_of_a_project)s webhooks. Delete one first.")
            % {"most_of_a_project": MOST_OF_A_PROJECT}
        )
    with transaction.atomic():
        webhook = Webhook.objects.create(
            project=project,
            url=_checked_url(url),
            events=chosen,
            salt=secrets.token_hex(16),
            created_by=user,
        )
        audit.record("webhook.made", webhook, user=user, events=chosen)
    return webhook, secret_of(webhook)


def delete_webhook(*, webhook: Webhook) -> None:
    with transaction.atomic():
        audit.record("webhook.deleted", webhook)
        webhook.delete()


def secret_of(webhook: Webhook) -> str:
    """Follows from the server's key, so it changes with it."""
    return (
        "whsec_" + salted_hmac("refinement.webhook", webhook.salt, algorithm="sha256").hexdigest()
    )


def webhook_rule() -> AddressRule:
    """Owners choose these addresses, so private ones need a setting of their own."""
    return AddressRule(networks=parse_networks(settings.WEBHOOK_NETWORKS))


# -- What happened --------------------------------------------------------------------------------
def run_happened(run: Run, event: str) -> None:
    """Within the transaction of the change: told if and only if it came to be."""
    _emit(
        run.project_id,
        event,
        {
            "run": {
                "id": run.pk,
                "name": run.name,
                "status": run.status,
                "notice": run.notice,
                "cost": str(run.cost),
            }
        },
    )


def export_happened(export: Export) -> None:
    _emit(
        export.project.pk,
        Webhook.Event.EXPORT_READY,
        {
            "export": {
                "id": export.pk,
                "run": export.run_id,
                "dataset": export.dataset_id,
                "rows": export.row_count,
                "sha256": export.sha256,
            }
        },
    )


def _emit(project_id: int, event: str, payload: dict[str, Any]) -> None:
    now = timezone.now()
    for webhook in Webhook.objects.filter(project_id=project_id):
        if event not in webhook.events:
            continue
        message = {
            "id": str(uuid4()),
            "event": str(event),
            "at": now.isoformat(),
            "project": project_id,
            **payload,
        }
        delivery = WebhookDelivery.objects.create(
            webhook=webhook,
            event=event,
            body=json.dumps(message, ensure_ascii=False, separators=(",", ":")),
            next_try_at=now,
        )
        wake("refinement.deliver_webhook", delivery.pk)


def _checked_url(url: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and port > 0
    except ValueError:
        valid = False
    if not valid or len(url) > 500 or not url.isascii() or not url.isprintable() or " " in url:
        raise ServiceError(
            gettext("Give the webhook's address as a URL, such as https://ci.example/hook.")
        )
    if parts.username or parts.password:
        raise ServiceError(
            gettext("Give the URL without user or password: messages are signed instead.")
        )
    try:
        webhook_rule().refuse(str(parts.hostname), port)
    except AddressRefusedError as error:
        told = str(error).replace("SRT_TEACHER_NETWORKS", "SRT_WEBHOOK_NETWORKS")
        raise ServiceError(gettext("This URL is not allowed: %(told)s") % {"told": told}) from error
    return url
