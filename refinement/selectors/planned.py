"""Statements that PostgreSQL parses and plans once for each connection, and not at each call.

For what every page of the review room and every decision runs: to plan such a statement takes
PostgreSQL longer than to run it. Only for statements whose best plan is the same whatever they are
asked for, which a row by its id has and a search for a word has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper


def planned_cursor() -> CursorWrapper:
    """A cursor for such statements. On SQLite any is, as it keeps its last statements.

    Where statements are logged it is Django's, which tells them with their values.
    """
    mine = connections[DEFAULT_DB_ALIAS]  # this thread's; the proxy looks for it at every word
    if mine.vendor != "postgresql" or mine.queries_logged:
        return mine.cursor()
    from refinement.selectors.prepared import Planned  # psycopg, which SQLite does without

    mine.ensure_connection()
    cursor: Any = Planned(mine.connection)
    return mine.make_cursor(cursor)
