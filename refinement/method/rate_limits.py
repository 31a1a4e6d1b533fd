"""What a server tells of its rate limits, and keeping to them before it must refuse.

``x-ratelimit-limit-*``, ``-remaining-*`` and ``-reset-*`` come from OpenAI and from those who copy
it, for requests and for tokens. A limit is mirrored here as the bucket that it is on the server:
each request takes from it, time fills it again, and each answer corrects the level.
"""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_PAUSE_SECONDS = 60.0  # then a request is tried, whatever the headers promised
KINDS = ("requests", "tokens")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
EARLIEST_DATE = 1e9  # a larger number is a date in seconds since 1970, not a wait


@dataclass
class Bucket:
    """How much of one limit is left. Infinite until the server has spoken of it."""

    level: float = float("inf")
    capacity: float = float("inf")
    per_second: float = 0.0
    full_at: float = 0.0  # time.monotonic, by which the server promised it to be as new
    seen_at: float = field(default_factory=time.monotonic)

    def correct(self, *, remaining: float, limit: float | None, reset: float | None) -> None:
        """``reset`` is in seconds; a server that gives none refills at a pace we do not know."""
        now = time.monotonic()
        self.level, self.seen_at = remaining, now
        self.capacity = limit if limit is not None else float("inf")
        missing = 0.0 if limit is None else limit - remaining
        self.per_second = missing / reset if reset and missing > 0 else 0.0
        self.full_at = now + (reset or 0.0)

    def wait_for(self, amount: float) -> float:
        """Seconds until ``amount`` is there; 0.0 where nothing is known against it."""
        self._refill()
        missing = min(amount, self.capacity) - self.level
        if missing <= 0:
            return 0.0
        until_full = max(0.0, self.full_at - time.monotonic())
        return min(missing / self.per_second, until_full) if self.per_second else until_full

    def take(self, amount: float) -> None:
        self.level -= amount

    def _refill(self) -> None:
        now = time.monotonic()
        grown = self.level + self.per_second * (now - self.seen_at)
        self.level, self.seen_at = min(self.capacity, grown), now
        if now >= self.full_at and self.level < self.capacity:
            self.level = self.capacity  # what the server said is out of date


class RateLimits:
    """The buckets of one server."""

    def __init__(self) -> None:
        self._requests, self._tokens = Bucket(), Bucket()
        self._mean_tokens = 0.0  # of one request, prompt and reply

    def heed(self, headers: Mapping[str, str], tokens: int = 0) -> None:
        """Learn from an answer that cost ``tokens`` (0: not known)."""
        if tokens:
            self._mean_tokens += (tokens - self._mean_tokens) * (0.1 if self._mean_tokens else 1.0)
        for kind, bucket in zip(KINDS, (self._requests, self._tokens), strict=True):
            remaining = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
            if remaining is not None:
                bucket.correct(
                    remaining=remaining,
                    limit=_number(headers.get(f"x-ratelimit-limit-{kind}")),
                    reset=duration(headers.get(f"x-ratelimit-reset-{kind}", "")),
                )

    def pause(self) -> float:
        """Seconds to wait before the next request; 0.0: it may be sent, and is counted as sent."""
        wait = max(self._requests.wait_for(1), self._tokens.wait_for(self._mean_tokens))
        if wait <= 0:
            self._requests.take(1)
            self._tokens.take(self._mean_tokens)
        return min(wait, LONGEST_PAUSE_SECONDS)


def server_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a refusal asks us to wait, or None where it does not say.

    From ``retry-after-ms`` or ``retry-after`` (seconds or a date), else from the reset of the rate
    limit that is used up.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return seconds / unit
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return _wait_for_used_up(headers)
    return max(0.0, date.timestamp() - time.time())


def duration(text: str) -> float | None:
    """Seconds in ``6m0s``, ``12ms``, ``1.5`` or a date since 1970; None where it is neither."""
    text = text.strip().lower()
    number = _number(text)
    if number is not None:
        return max(0.0, number - time.time()) if number >= EARLIEST_DATE else number
    parts = DURATION.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        return None
    return sum(float(count) * UNITS[unit] for count, unit in parts)


def _wait_for_used_up(headers: Mapping[str, str]) -> float | None:
    waits = [
        duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in KINDS
        if _number(headers.get(f"x-ratelimit-remaining-{kind}")) == 0
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _number(text: str | None) -> float | None:
    """A number of 0 or more, and finite."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
