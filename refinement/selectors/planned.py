"""Statements that PostgreSQL parses and plans once for each connection, and not at each call.

For what every page of the review room and every decision runs: to plan such a statement takes
PostgreSQL longer than to run it. Only for statements whose best plan is the same whatever they are
asked for, which a row by its id has and a search for a word has not.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.db import connection
from psycopg import OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from django.db.backends.utils import CursorWrapper
    from psycopg.pq.abc import PGresult

_Plans = dict[tuple[str, tuple[int, ...]], bytes]  # names by statement and types of its values

_plans: WeakKeyDictionary[psycopg.Connection[Any], _Plans] = WeakKeyDictionary()


def planned_cursor() -> CursorWrapper:
    """A cursor for such statements. On SQLite any is, as it keeps its last statements.

    Where statements are logged it is Django's, which tells them with their values.
    """
    if connection.vendor != "postgresql" or connection.queries_logged:
        return connection.cursor()
    connection.ensure_connection()
    cursor: Any = _Planned(connection.connection)
    return connection.make_cursor(cursor)


class _Planned:
    """Asks libpq itself, in one call that waits for the answer.

    What psycopg's cursor does around that call (how to wait, whether to prepare, what to forget)
    takes Python five times as long as the call. Values and rows are psycopg's to convert.
    """

    def __init__(self, to: psycopg.Connection[Any]) -> None:
        self._connection = to
        self._rows: list[Any] = []

    def execute(self, query: str, params: Sequence[Any] = ()) -> None:
        pgconn = self._connection.pgconn
        if pgconn.transaction_status == TransactionStatus.IDLE and not self._connection.autocommit:
            self._good(pgconn.exec_(_begin(self._connection.isolation_level)))
        convert = Transformer(self._connection)
        values: Any = convert.dump_sequence(params, [PyFormat.AUTO] * len(params))
        plan = self._plan(query, convert.types or ())
        result = self._good(pgconn.exec_prepared(plan, values, convert.formats))
        convert.set_pgresult(result)
        self._rows = convert.load_rows(0, result.ntuples, tuple)[::-1]

    def fetchone(self) -> Any:
        return self._rows.pop() if self._rows else None

    def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows[::-1], []
        return rows

    def close(self) -> None:
        self._rows = []

    def _plan(self, query: str, types: tuple[int, ...]) -> bytes:
        """The name of the statement; a number is one of several types, by its size."""
        plans = _plans.setdefault(self._connection, {})
        name = plans.get((query, types))
        if name is None:
            name = b"planned_%d" % len(plans)
            self._good(self._connection.pgconn.prepare(name, _numbered(query), types))
            plans[query, types] = name
        return name

    def _good(self, result: PGresult) -> PGresult:
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return result
        if self._connection.closed:  # the server went away, and left no code of its own
            raise OperationalError(result.get_error_message())
        raise error_from_result(result)


def _begin(level: psycopg.IsolationLevel | None) -> bytes:
    """As psycopg begins a transaction; Django sets no other of its properties."""
    if level is None:
        return b"BEGIN"
    return f"BEGIN ISOLATION LEVEL {level.name}".replace("_", " ").encode()


@cache
def _numbered(query: str) -> bytes:
    """With $1 and so on where Python's database interface has %s, and % where it has %%."""
    numbers = count(1)

    def place(found: re.Match[str]) -> str:
        return "%" if found[0] == "%%" else f"${next(numbers)}"

    return re.sub("%[s%]", place, query).encode()
