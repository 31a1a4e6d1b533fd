"""How many requests at a time a teacher can take, and how long to wait before the next try.

The limit follows additive increase, multiplicative decrease, as TCP does: a server that says "too
many" halves it, every answer lets it grow a little. Where a server tells its rate limits, requests
also wait for their turn under these.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from refinement.method.rate_limits import LONGEST_PAUSE_SECONDS, RateLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONGEST_WAIT_SECONDS = 30.0  # of the back-off
LONGEST_SERVER_WAIT_SECONDS = 60.0  # asked for by a server; longer waits are left to the caller


class AdaptiveLimit:
    """Lets at most ``ceiling`` requests run at a time, and fewer while the server is overloaded.

    Belongs to one event loop.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = max(1, ceiling)
        self.in_flight = 0
        self._limit = float(self.ceiling)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lowered_at = 0.0
        self._closed_until = 0.0
        self.rates = RateLimits()

    @property
    def limit(self) -> int:
        return int(self._limit)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Waits for a place; yields the time at which the request began (``time.monotonic``)."""
        await self._take_place()
        try:
            await self._wait_for_turn()
            yield time.monotonic()
        finally:
            self._leave()

    def answered(self) -> None:
        """An answer came: grow by about one place for each full round of answers."""
        self._limit = min(float(self.ceiling), self._limit + 1 / self._limit)
        self._let_in()

    def overloaded(self, began: float, wait: float | None = None) -> None:
        """The server said "too many" to a request that ``began`` then, and perhaps for how long.

        Requests that were under way when the limit was last lowered are old news: a burst of
        refusals halves the limit once.
        """
        if began >= self._lowered_at:
            self._limit = max(1.0, self._limit / 2)
            self._lowered_at = time.monotonic()
        if wait:
            self._closed_until = max(self._closed_until, time.monotonic() + wait)

    async def _wait_for_turn(self) -> None:
        """Until the server is open, and its rate limits have room for one more request."""
        longest = time.monotonic() + LONGEST_PAUSE_SECONDS
        while (now := time.monotonic()) < max(self._closed_until, longest):
            wait = self._closed_until - now
            if wait <= 0 and (wait := self.rates.pause()) <= 0:
                return
            await asyncio.sleep(min(wait, max(self._closed_until, longest) - now))

    async def _take_place(self) -> None:
        if self.in_flight < self.limit and not self._waiting:
            self.in_flight += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # let in and cancelled at the same moment
                self._leave()
            raise

    def _leave(self) -> None:
        self.in_flight -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            place = self._waiting.popleft()
            if not place.cancelled():
                self.in_flight += 1
                place.set_result(None)


def back_off(tries: int, first_wait: float) -> float:
    """Seconds to wait after ``tries`` failures: doubling, capped, and spread over half its length.

    The spread keeps requests that failed together from coming back together.
    """
    wait: float = min(LONGEST_WAIT_SECONDS, first_wait * 2 ** min(tries - 1, 16))
    return wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
