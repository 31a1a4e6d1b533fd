"""Every worker process says every few seconds which queues it serves.

So a page can say "no teacher worker is alive" instead of letting a person wait.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil
from django.db import Error, connection
from django.db.models.functions import Now

from refinement.models import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
FORGET_AFTER = timedelta(days=1)


class Heartbeat:
    """A thread that writes the worker's row until it is stopped, and then removes the row."""

    def __init__(
        self, *, host: str, queues: Sequence[str], beat_seconds: float = BEAT_SECONDS
    ) -> None:
        self.name = f"{host}:{os.getpid()}"
        self.queues = sorted(queues)
        self._beat_seconds = beat_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        try:
            while not self._done.is_set():
                self._write()
                self._done.wait(self._beat_seconds)
            Worker.objects.filter(name=self.name).delete()
        except Error:  # it was the last word of a worker that stops: its row grows old by itself
            logger.warning("the worker's row could not be removed", exc_info=True)
        finally:
            connection.close()

    def _write(self) -> None:
        try:
            Worker.objects.update_or_create(
                name=self.name,
                defaults={"queues": self.queues, "facts": facts(), "seen_at": Now()},
            )
        except Error:  # the database may come back, and the worker's tasks say what is wrong
            logger.warning("no heartbeat: the database does not answer", exc_info=True)
            connection.close_if_unusable_or_obsolete()


def facts() -> dict[str, int]:
    """Memory of this process, in bytes; of its GPU only where torch is loaded and uses one."""
    found = {"memory_bytes": int(psutil.Process().memory_info().rss)}
    torch = sys.modules.get("torch")
    # The thread that scores may be in the middle of importing it: then it has no ``cuda`` yet.
    with suppress(AttributeError):
        if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
            found["gpu_memory_bytes"] = int(torch.cuda.memory_reserved())
    return found


def forget_dead_workers() -> int:
    """Remove the rows of processes that were killed long ago."""
    return Worker.objects.filter(seen_at__lt=Now() - FORGET_AFTER).delete()[0]
