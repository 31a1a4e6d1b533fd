"""The same request sent twice, done once: what was answered first is answered again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from refinement.models import ApiRequest
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from refinement.models import User

KEPT_FOR = timedelta(days=1)
LONGEST_KEY = 200


class KeyInUse(ServiceError):  # noqa: N818 - news, not a fault
    """The first request with this key is still at work, or asked for something else."""


def begin(*, user: User, key: str, fingerprint: str) -> ApiRequest:
    """Claim ``key``. A request whose ``status`` is set was answered before: answer the same.

    Raises KeyInUse where the first one is at work, or was another request.
    """
    if not re.fullmatch(rf"[!-~]{{1,{LONGEST_KEY}}}", key):
        raise ServiceError(
            gettext("An Idempotency-Key has 1 to %(longest_key)s visible ASCII characters.")
            % {"longest_key": LONGEST_KEY}
        )
    ApiRequest.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()
    try:
        with transaction.atomic():
            return ApiRequest.objects.create(user=user, key=key, fingerprint=fingerprint)
    except IntegrityError:
        first = ApiRequest.objects.filter(user=user, key=key).first()
    if first is None:
        raise KeyInUse("The request with this key has just failed. Send it again.")
    if first.fingerprint != fingerprint:
        raise KeyInUse("This Idempotency-Key was used for another request. Take a new one.")
    if first.status is None:
        raise KeyInUse("The first request with this key is still at work. Ask again later.")
    return first


def answered(*, request: ApiRequest, status: int, body: str) -> None:
    ApiRequest.objects.filter(pk=request.pk).update(status=status, body=body)


def forget(*, request: ApiRequest) -> None:
    """It was refused or failed: the corrected one may use the key."""
    ApiRequest.objects.filter(pk=request.pk).delete()
