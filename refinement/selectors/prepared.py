"""A cursor of PostgreSQL that asks libpq itself, by statements that it prepares."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from psycopg import OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg.pq.abc import PGresult

MOST_PLANS = 200  # a connection's; each is some ten thousand bytes of the server's memory

_Plans = dict[tuple[str, tuple[int, ...]], bytes]  # names by statement and types of its values

_plans: WeakKeyDictionary[psycopg.Connection[Any], _Plans] = WeakKeyDictionary()


class Planned:
    """Each statement is one call that waits for the answer.

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
            pgconn = self._connection.pgconn
            if len(plans) >= MOST_PLANS:
                self._good(pgconn.exec_(b"DEALLOCATE ALL"))
                plans.clear()
            name = b"planned_%d" % len(plans)
            self._good(pgconn.prepare(name, _numbered(query), types))
            plans[query, types] = name
        return name

    def _good(self, result: PGresult) -> PGresult:
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return result
        if self._connection.closed:  # the server went away, and left no code of its own
            raise OperationalError(result.error_message.decode(errors="replace"))
        raise error_from_result(result)


def _begin(level: psycopg.IsolationLevel | None) -> bytes:
    """As psycopg begins a transaction; Django sets no other of its properties."""
    if level is None:
        return b"BEGIN"
    return f"BEGIN ISOLATION LEVEL {level.name}".replace("_", " ").encode()


@lru_cache(MOST_PLANS)
def _numbered(query: str) -> bytes:
    """With $1 and so on where Python's database interface has %s, and % where it has %%."""
    numbers = count(1)

    def place(found: re.Match[str]) -> str:
        return "%" if found[0] == "%%" else f"${next(numbers)}"

    return re.sub("%[s%]", place, query).encode()
