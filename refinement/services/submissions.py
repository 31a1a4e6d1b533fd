"""A form sent twice creates one thing: a double click, or an impatient reload of a slow upload.

The token is claimed before the work and outside of any transaction, so that a long upload holds no
lock; it is freed again when the work is refused, so that the corrected form may be sent.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from refinement.models import Submission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.models import User

KEPT_FOR = timedelta(days=1)


class AlreadySent(Exception):  # noqa: N818 - it is news, not an error
    """``location`` is the address of what the first one created, empty while it still works."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


def new_token() -> UUID:
    return uuid4()


@contextmanager
def sent_once(*, token: UUID, user: User) -> Iterator[Submission]:
    """Claim ``token`` for the work in the body, which sets ``location`` of what it created.

    Raises AlreadySent for a token that was claimed before. The token is free again if the body
    raises.
    """
    submission = _claim(token, user)
    try:
        yield submission
    except BaseException:
        submission.delete()
        raise
    submission.save(update_fields=["location"])


def _claim(token: UUID, user: User) -> Submission:
    Submission.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()
    try:
        with transaction.atomic():
            return Submission.objects.create(token=token, user=user)
    except IntegrityError:
        first = Submission.objects.filter(token=token, user=user).first()
        raise AlreadySent(first.location if first else "") from None
