"""The rows of a ``values_list`` as the database's driver gives them, in constant memory."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    Row = tuple[Any, ...]

CHUNK = 250  # rows fetched at a time: a text may have megabytes


def stream(rows: QuerySet[Any, Any]) -> Iterator[Row]:
    """One by one; JSON is text."""
    for chunk in chunks(rows):
        yield from chunk


def chunks(rows: QuerySet[Any, Any]) -> Iterator[list[Row]]:
    """A chunk at a time, by a cursor of the server where there is one."""
    compiled = _compiled(rows)
    if compiled is None:
        return
    with connections[rows.db].chunked_cursor() as cursor:
        cursor.execute(*compiled)
        while chunk := cursor.fetchmany(CHUNK):
            yield chunk


def chunks_alone(rows: QuerySet[Any, Any]) -> Iterator[list[Row]]:
    """The same, where nothing else is asked of the connection before the last chunk.

    PostgreSQL then reads on while a chunk is in use, which it does for no cursor, and with as many
    processes as it likes.
    """
    connection = connections[rows.db]
    if connection.vendor != "postgresql":
        yield from chunks(rows)
        return
    compiled = _compiled(rows)
    if compiled is None:
        return
    from psycopg import capabilities

    connection.ensure_connection()
    size = CHUNK if capabilities.has_stream_chunked() else 1  # libpq before 17
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        found = cursor.stream(*compiled, size=size)
        while chunk := list(islice(found, CHUNK)):
            yield chunk


def _compiled(rows: QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]] | None:
    """The statement and its parameters; ``None`` where it is known to find nothing."""
    try:
        sql, parameters = rows.query.get_compiler(using=rows.db).as_sql()
    except EmptyResultSet:
        return None
    return sql, parameters
