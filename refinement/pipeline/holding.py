"""Keeping rows for as long as a thread works on them, and giving them up in order."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import Error, connection

from refinement.method.limits import back_off
from refinement.pipeline import claims

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from refinement.models import RunSample

logger = logging.getLogger(__name__)

RETRY_FIRST_SECONDS = 5.0


class Holding:
    """While open, a thread of its own renews the leases of ``rows``.

    After an error, which goes on its way, those of the rows that are still ours go back to be tried
    again later, so that nobody waits for their leases to run out.
    """

    def __init__(self, rows: Sequence[RunSample]) -> None:
        self.rows = rows
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        for row in self.rows if error is not None else ():
            claims.postpone(
                row,
                reason="internal",
                error=f"Unexpected problem: {error!r}",
                wait_seconds=back_off(row.attempts + 1, RETRY_FIRST_SECONDS),
            )

    def _renew(self) -> None:
        try:
            while not self._done.wait(settings.LEASE_SECONDS / 3):
                try:
                    claims.renew(self.rows, settings.LEASE_SECONDS)
                except Error:  # the work itself will say what is wrong with the database
                    logger.warning("leases could not be renewed", exc_info=True)
                    connection.close_if_unusable_or_obsolete()
        finally:
            connection.close()
