"""Links to an export that need no login: signed, for a time, dead once the export is deleted."""

from __future__ import annotations

import time
from datetime import timedelta

from django.core import signing
from django.utils.translation import gettext

from refinement.models import Export
from refinement.services.errors import ServiceError

_SALT = "refinement.export-link"
LONGEST = timedelta(days=90)


def sign_link(*, export: Export, valid_for: timedelta) -> str:
    """What names ``export`` in a link. Raises ServiceError for a time that is not sensible."""
    if not timedelta(0) < valid_for <= LONGEST:
        raise ServiceError(
            gettext("A link is valid for up to %(days)s days.") % {"days": LONGEST.days}
        )
    ends = int(time.time() + valid_for.total_seconds())
    return signing.dumps([export.pk, ends], salt=_SALT)


def export_of_link(signed: str) -> Export | None:
    """The ready export of a link; ``None``: forged, too late, or deleted."""
    try:
        export_id, ends = signing.loads(signed, salt=_SALT)
    except signing.BadSignature:
        return None
    if ends < time.time():
        return None
    return Export.objects.filter(pk=export_id, status=Export.Status.READY).first()
