"""What was paid, what is stored, and which leases are held: read while everything breaks."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from refinement.models import RunSample, TeacherCall, Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.chaos.house import House

T = TypeVar("T")
CLOCK_SLACK = 1.0  # between the check of the store and the arrival of a question, in seconds


def patiently(read: Callable[[], T], seconds: float = 120) -> T:
    """``read()``, again and again while the database is away."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return read()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@dataclass
class Ledger:
    """The teacher's books beside ours, of one run."""

    house: House
    run_id: int
    stored_at: dict[str, float] = field(default_factory=dict)  # reply → first seen in the store

    def note(self) -> int:
        """Look at the store. Returns how many replies it holds."""
        texts = TeacherCall.objects.filter(run_sample__run=self.run_id)
        for text in list(texts.values_list("text", flat=True)):
            self.stored_at.setdefault(text, time.time())
        return len(self.stored_at)

    def paid(self, since: int) -> list[dict[str, Any]]:
        """What the teacher answered after its first ``since`` requests."""
        return [entry for entry in self.house.requests()[since:] if "reply" in entry]

    def paid_again(self, since: int) -> list[str]:
        """Replies that were asked for although they were in the store."""
        return [
            entry["reply"]
            for entry in self.paid(since)
            if entry["began"] > self.stored_at.get(entry["reply"], time.time()) + CLOCK_SLACK
        ]

    def paid_in_vain(self, since: int) -> int:
        """Replies that were paid more than once, as they were on their way when something died."""
        counts = Counter(entry["hash"] for entry in self.paid(since))
        return sum(counts.values()) - len(counts)


def held_tokens(run_id: int) -> set[str]:
    """The leases that workers hold now."""
    held = RunSample.objects.filter(run=run_id, state=RunSample.State.LEASED)
    return set(held.values_list("lease_token", flat=True))


def is_seen(queue: str, since: datetime) -> bool:
    """Whether a worker of the queue has said since then that it lives."""
    return Worker.objects.filter(queues=[queue], seen_at__gte=since).exists()


def longest_lease(run_id: int) -> float:
    """How far ahead the last lease ends, in seconds: never further than a lease is long."""
    ends = (
        RunSample.objects.filter(run=run_id, state=RunSample.State.LEASED)
        .order_by("-lease_expires_at")
        .values_list("lease_expires_at", flat=True)
        .first()
    )
    return 0.0 if ends is None else (ends - timezone.now()).total_seconds()
