"""What a teaching loop concludes from its teacher's errors: hold back, probe, or give up."""

from __future__ import annotations

import time
from dataclasses import dataclass

PATIENCE = 3  # failures in a row that may still be chance
FIRST_HOLD_SECONDS = 5.0
LONGEST_HOLD_SECONDS = 60.0
MOST_REFUSALS = 5  # in a row


@dataclass
class TeacherHealth:
    """Counts failures in a row.

    A teacher that does not answer is left alone for a while, then asked one question at a time
    until it answers: a server that is down for an hour shall not burn the attempts of every sample.
    """

    failures: int = 0
    refusals: int = 0
    holds: int = 0
    closed_until: float = 0.0  # time.monotonic
    answers: int = 0

    def answered(self) -> None:
        self.answers += 1
        self.failures = self.refusals = self.holds = 0
        self.closed_until = 0.0

    def failed(self, *, retry_after: float | None = None) -> None:
        """A question got no answer in spite of the client's own tries."""
        self.failures += 1
        if retry_after:
            self._hold(retry_after)
        elif self.failures >= PATIENCE and not self.on_hold:
            self.holds += 1
            self._hold(min(LONGEST_HOLD_SECONDS, FIRST_HOLD_SECONDS * 2 ** (self.holds - 1)))

    def refused(self) -> None:
        """The teacher refused one question for good."""
        self.refusals += 1

    @property
    def on_hold(self) -> bool:
        return time.monotonic() < self.closed_until

    @property
    def is_well(self) -> bool:
        """Its latest question was answered."""
        return self.answers > 0 and self.failures == 0

    @property
    def ailing(self) -> bool:
        return self.failures >= PATIENCE

    @property
    def refuses_all(self) -> bool:
        return self.refusals >= MOST_REFUSALS

    def allowance(self, wanted: int, in_flight: int) -> int:
        """How many of the wanted new questions may be asked now."""
        if self.on_hold:
            return 0
        if self.ailing:
            return min(wanted, 1 - min(in_flight, 1))
        return wanted

    def _hold(self, seconds: float) -> None:
        self.closed_until = max(self.closed_until, time.monotonic() + seconds)
