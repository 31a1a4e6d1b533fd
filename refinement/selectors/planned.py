"""Statements that PostgreSQL parses and plans once for each connection, and not at each call.

For what every page of the review room and every decision runs: to plan such a statement takes
PostgreSQL longer than to run it. Only for statements whose best plan is the same whatever they are
asked for, which a row by its id has and a search for a word has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    Row = tuple[Any, ...]


def planned(statement: str, values: Sequence[Any] = ()) -> list[Row]:
    """Run such a statement; its rows. Raises the errors of ``django.db``.

    On SQLite it is one as any other, as SQLite keeps its last statements, and so it is where
    somebody looks on at each statement.
    """
    mine: Any = connections[DEFAULT_DB_ALIAS]  # this thread's; the proxy looks for it at every word
    if mine.vendor != "postgresql" or mine.queries_logged or mine.execute_wrappers:
        return _as_any_other(mine, statement, values)
    from refinement.selectors.prepared import prepared  # psycopg, which SQLite does without

    mine.close_if_health_check_failed()
    if mine.connection is None:
        mine.ensure_connection()
    mine.validate_no_broken_transaction()
    try:
        return prepared(mine.connection).rows(statement, values)
    except mine.Database.Error:
        with mine.wrap_database_errors:
            raise


def _as_any_other(mine: BaseDatabaseWrapper, statement: str, values: Sequence[Any]) -> list[Row]:
    with mine.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
