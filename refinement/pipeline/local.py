"""The workers of one run inside one process: the same loops, without a broker."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from django.db import connection

from refinement.pipeline import embedding, scoring, sweeper, teaching
from refinement.services import deriving
from refinement.services.dispatch import delivered_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

POLL_SECONDS = 1.0  # between looks for work, where no wake-up comes


class LocalWorkers:
    """While open, a teaching and a scoring loop work on a run, each in a thread of its own.

    Wake-ups of this process reach them; other processes may work on the same run meanwhile. Closing
    stops them as a worker is stopped: what is under way is saved or given back.
    """

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self.stopping = threading.Event()
        self._calls = {"refinement.teach": threading.Event(), "refinement.score": threading.Event()}
        self._stack = ExitStack()
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._stack.enter_context(delivered_to(self._receive))
        pool = self._stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="local"))
        self._futures = [
            pool.submit(self._work, "refinement.teach", teaching.teach),
            pool.submit(self._work, "refinement.score", scoring.score),
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._call_all()
        self._stack.close()

    def look_after(self) -> None:
        """What the sweeper does for workers elsewhere. Raises what stopped a loop, if one did."""
        for task in sweeper.sweep_run(self.run_id):
            if task == "refinement.derive":
                self._derive()
            else:
                self._calls[task].set()
        for future in self._futures:
            if future.done():
                future.result()

    def _derive(self) -> None:
        embedding.embed_for_policy(self.run_id, stopping=self.stopping)
        deriving.derive(self.run_id, stopping=self.stopping.is_set)

    def _receive(self, task: str, object_id: int) -> None:
        if object_id == self.run_id and task in self._calls:
            self._calls[task].set()

    def _call_all(self) -> None:
        for call in self._calls.values():
            call.set()

    def _work(self, task: str, loop: Callable[..., None]) -> None:
        try:
            while not self.stopping.is_set():
                loop(self.run_id, stopping=self.stopping)
                self._calls[task].wait(POLL_SECONDS)
                self._calls[task].clear()
        finally:
            connection.close()
