"""Statements that a connection to PostgreSQL prepares and runs by libpq itself."""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from psycopg import OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg.pq.abc import PGresult

MOST_PLANS = 200  # a connection's; each is some ten thousand bytes of the server's memory

_IDLE, _AUTO = TransactionStatus.IDLE, PyFormat.AUTO
_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_numbers = count()  # for names that no other of this process has


class Prepared:
    """What one connection has prepared. Each statement is one call that waits for the answer.

    What psycopg's cursor does around that call (how to wait, whether to prepare, what to forget)
    takes Python five times as long as the call. Values and rows are psycopg's to convert, by one
    converter for all statements: a new one looks for each type's way anew.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._plans: dict[tuple[str, tuple[int, ...]], bytes] = {}  # names; by types of the values
        self._convert = Transformer(connection)
        self._keeps_plans = False

    def rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Raises psycopg's errors."""
        pgconn, convert = self.connection.pgconn, self._convert
        if pgconn.transaction_status == _IDLE:
            self._begin()
        sent: Any = convert.dump_sequence(values, [_AUTO] * len(values))
        plan = self._plan(query, convert.types or ())
        result = self._good(pgconn.exec_prepared(plan, sent, convert.formats))
        convert.set_pgresult(result)
        found = convert.load_rows(0, result.ntuples, tuple)
        convert.set_pgresult(None)
        return found

    def _begin(self) -> None:
        """As psycopg begins a transaction, where it would; Django sets no other property of one."""
        if not self._keeps_plans:  # here, as within a transaction it might be taken back with it
            # A walk's plan is estimated a little cheaper for values that are known, and was made
            # anew each time for that: twice the time of the walk.
            self._say(b"SET plan_cache_mode = force_generic_plan")
            self._keeps_plans = True
        if self.connection.autocommit:
            return
        level = self.connection.isolation_level
        how = f" ISOLATION LEVEL {level.name}".replace("_", " ") if level else ""
        self._say(b"BEGIN" + how.encode())

    def _plan(self, query: str, types: tuple[int, ...]) -> bytes:
        """The name of the statement; a number is one of several types, by its size."""
        name = self._plans.get((query, types))
        if name is None:
            if len(self._plans) >= MOST_PLANS:
                self._say(b"DEALLOCATE ALL")
                self._plans.clear()
            name = b"planned_%d" % next(_numbers)
            self._good(self.connection.pgconn.prepare(name, _numbered(query), types))
            self._plans[query, types] = name
        return name

    def _say(self, command: bytes) -> None:
        self._good(self.connection.pgconn.exec_(command))

    def _good(self, result: PGresult) -> PGresult:
        if result.status in _GOOD:
            return result
        if self.connection.closed:  # the server went away, and left no code of its own
            raise OperationalError(result.error_message.decode(errors="replace"))
        raise error_from_result(result)


class _Here(threading.local):
    """A thread has a connection of its own, and with it what that has prepared."""

    prepared: Prepared | None = None


_here = _Here()


def prepared(connection: psycopg.Connection[Any]) -> Prepared:
    """What is prepared for this thread's connection."""
    known = _here.prepared
    if known is None or known.connection is not connection:
        known = _here.prepared = Prepared(connection)
    return known


@lru_cache(MOST_PLANS)
def _numbered(query: str) -> bytes:
    """With $1 and so on where Python's database interface has %s, and % where it has %%."""
    numbers = count(1)

    def place(found: re.Match[str]) -> str:
        return "%" if found[0] == "%%" else f"${next(numbers)}"

    return re.sub("%[s%]", place, query).encode()
