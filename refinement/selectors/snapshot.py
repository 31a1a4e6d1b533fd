"""One consistent view of the database for a long read, while everybody else goes on writing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from django.db import connection, connections

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN = {
    # Deferred: Django's own BEGIN IMMEDIATE would keep every writer out. In WAL a reader keeps its
    # view, and all that grows meanwhile is the log.
    "sqlite": "BEGIN DEFERRED",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}


@contextmanager
def snapshot() -> Iterator[str]:
    """An alias for ``QuerySet.using``: what it reads stays as it was when the first query ran.

    It is a connection of its own, so that the caller may write through the usual one meanwhile.
    """
    alias = f"snapshot-{uuid4().hex}"
    own = connection.copy(alias)
    connections[alias] = own
    try:
        with own.cursor() as cursor:
            cursor.execute(_BEGIN[own.vendor])
        yield alias
    finally:
        own.close()
        del connections[alias]
