"""What is written with every decision of every reviewer: rows by statements that are put together
once, sent together where no answer is needed in between.

``save()`` puts its INSERT together anew for each object, which takes longer than to send it and to
store the row; and to wait for a database's answer takes longer than most of its answers.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import Field, Model


@contextmanager
def sent_together() -> Iterator[None]:
    """Nobody waits for an answer in here before it is looked at (PostgreSQL's pipeline mode).

    To be opened within a transaction. SQLite is part of the process: there is nothing to wait for.
    """
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, connection.connection.pipeline():
            yield
    else:
        yield


def insert(row: Model) -> None:
    """Store a new object as ``save()`` would, and give it its id. No signal is sent."""
    send(row)()


def send(row: Model) -> Callable[[], None]:
    """As ``insert``, but the object has its id once what is returned was called."""
    statement, fields = _statement(type(row))
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    cursor = connection.cursor()
    cursor.execute(statement, values)

    def settle() -> None:
        with cursor:
            row.pk = cursor.fetchone()[0]
        row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - as save() does

    return settle


@cache
def _statement(model: type[Model]) -> tuple[str, list[Field[Any, Any]]]:
    """The same for both databases: each returns what it inserted."""
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    names = ", ".join(str(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    table = model._meta.db_table
    return f"INSERT INTO {table} ({names}) VALUES ({places}) RETURNING id", fields
