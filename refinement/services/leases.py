"""Exclusive work on one row that a worker may die over: imports, exports, pushes, bulk acts.

The moment a lease ends is its token. Every write of the holder is conditional on it, so a worker
that was suspended past its lease, and whose work another took over, can change nothing any more.
Times are the database's: no worker's clock matters.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from refinement.selectors.clock import database_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.models import BulkAct, Dataset, Export, Push, Trial

    Held = BulkAct | Dataset | Export | Push | Trial


class LeaseLost(Exception):  # noqa: N818 - an event among workers, no fault
    """Another worker has taken over, or the row is gone. Nothing was written."""


class Lease:
    """Held on a row, such as a Dataset or an Export, while ``status`` is its working one."""

    def __init__(self, model: type[Held], pk: int, ends: datetime) -> None:
        self._model = model
        self._pk = pk
        self._ends = ends
        self._renewed = time.monotonic()

    @classmethod
    def claim(cls, model: type[Held], pk: int, *, waiting: str, working: str) -> Lease | None:
        """Take the row if it waits, or if its worker's lease ran out. ``None``: it is taken."""
        ends = _next_end()
        free = Q(status=waiting) | Q(status=working, lease_expires_at__lt=Now())
        claimed = model.objects.filter(free, pk=pk).update(status=working, lease_expires_at=ends)
        return cls(model, pk, ends) if claimed else None

    def renew(self, **changes: Any) -> None:
        """Write ``changes`` to the row and prolong the lease. Raises LeaseLost.

        In a transaction it also holds the row, so that what is written with it stands or falls with
        the lease.
        """
        ends = _next_end()
        self._write(lease_expires_at=ends, **changes)
        self._ends = ends
        self._renewed = time.monotonic()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction with which a renewal within it stands or falls."""
        with ExitStack() as undo:
            undo.callback(setattr, self, "_ends", self._ends)
            undo.callback(setattr, self, "_renewed", self._renewed)
            with transaction.atomic():
                yield
            undo.pop_all()

    def finish(self, **changes: Any) -> None:
        """Write ``changes``, a status among them, and give the lease back. Raises LeaseLost."""
        self._write(lease_expires_at=None, **changes)

    def nearly_over(self) -> bool:
        """Whether a third of the lease has passed: time to renew it."""
        return time.monotonic() - self._renewed > settings.LEASE_SECONDS / 3

    def _write(self, **changes: Any) -> None:
        mine = self._model.objects.filter(pk=self._pk, lease_expires_at=self._ends)
        if not mine.update(**changes):
            raise LeaseLost(f"{self._model.__name__} {self._pk}")


def _next_end() -> datetime:
    return database_now() + timedelta(seconds=settings.LEASE_SECONDS)
