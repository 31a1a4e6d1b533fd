"""One consistent view of the database for a long read, while everybody else goes on writing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from django.db import connection, connections

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BEGIN = {
    # Deferred: Django's own BEGIN IMMEDIATE would keep every writer out. In WAL a reader keeps its
    # view, and all that grows meanwhile is the log.
    "sqlite": "BEGIN DEFERRED",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}


# A cursor is planned for its first rows unless told that all will be read, and sorts on disk unless
# it may take the memory of a few megabytes of texts: both together take a third of the time away.
# Rows of expressions are taken for more groups than there are, too many to count with all cores.
_SETTINGS = {
    "sqlite": (),
    "postgresql": (
        "SET cursor_tuple_fraction = 1",
        "SET work_mem = '64MB'",
        "SET parallel_tuple_cost = 0",
    ),
}
_COPY = {
    "sqlite": (
        "CREATE TEMP TABLE {table} AS SELECT * FROM main.{table} WHERE 0",
        "CREATE UNIQUE INDEX temp.{table}_id ON {table} (id)",
        "CREATE INDEX temp.{table}_run_sample ON {table} (run_sample_id)",
    ),
    "postgresql": ("CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING INDEXES)",),
}


@contextmanager
def snapshot(*, copies: Sequence[str] = ()) -> Iterator[str]:
    """An alias for ``QuerySet.using``: what it reads stays as it was when the first query ran.

    It is a connection of its own, so that the caller may write through the usual one meanwhile. Of
    each table of a run's samples in ``copies`` it has an empty one of its own, which hides the real
    one under the same name, and which it may write to.
    """
    alias = f"snapshot-{uuid4().hex}"
    own = connection.copy(alias)
    connections[alias] = own
    try:
        with own.cursor() as cursor:
            for statement in _SETTINGS[own.vendor]:
                cursor.execute(statement)
            for table in copies:
                for statement in _COPY[own.vendor]:
                    cursor.execute(statement.format(table=table))
            cursor.execute(_BEGIN[own.vendor])
        yield alias
    finally:
        own.close()
        del connections[alias]
