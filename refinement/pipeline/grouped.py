"""What many samples ask of the database at the same time, done in one go.

A query costs the same few tenths of a millisecond whether it finds one row or fifty, and so does a
commit. While one group is at the database the next one gathers, so that nobody waits for others
where little is going on, and groups grow by themselves where much is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refinement.pipeline.database_thread import DatabaseThread

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST = 200  # items of one group: a transaction that others do not wait long for


class Grouped(Generic[Item, Result]):
    """``await grouped(item)`` gives the item's result of ``work``, which takes a list of items.

    Where ``work`` fails for several items it is tried with each alone, so that one bad item fails
    nobody else. To be used from one event loop.
    """

    def __init__(
        self, database: DatabaseThread, work: Callable[[list[Item]], Sequence[Result]]
    ) -> None:
        self._database = database
        self._work = work
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await answer

    async def settled(self) -> None:
        """Wait until nothing is under way any more."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            await self._do(group)
        self._task = None

    async def _do(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        work = self._database(self._work, [item for item, _ in group])
        [found] = await asyncio.gather(work, return_exceptions=True)
        if isinstance(found, BaseException) and len(group) > 1:
            for one in group:
                await self._do([one])
            return
        for number, (_, answer) in enumerate(group):
            if answer.done():  # who asked has been cancelled
                continue
            if isinstance(found, BaseException):
                answer.set_exception(found)
            else:
                answer.set_result(found[number])
