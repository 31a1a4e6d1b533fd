"""The database for a task that lives in an event loop: one thread, one connection."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from django.db import Error, connection

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThread:
    """Runs functions that use the database, one after the other, in a thread of their own.

    ``await database(function, ...)`` from the event loop. The connection is closed at the end, and
    after an error that broke it, so that the next call opens a new one.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        def call() -> T:
            try:
                return function(*args, **kwargs)
            except Error:
                connection.close_if_unusable_or_obsolete()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, _close)
        self._executor.shutdown()


def _close() -> None:
    """``connection`` is one object a thread: it is looked up in the thread that calls this."""
    connection.close()
