"""Runs started, steered and watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from srt_client.wire import RETRIED, Problem, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator


class Runs(Wire):
    """Runs."""

    def start_run(self, project: int, dataset: int, **options: Any) -> dict[str, Any]:
        """``options``: teacher, student, name, limit, protocol, template, policy, budgets, …"""
        return self._json("POST", f"/projects/{project}/runs", {"dataset": dataset, **options})

    def run(self, run: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}")

    def runs(self, project: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/projects/{project}/runs")

    def steer(self, run: int, action: str) -> dict[str, Any]:
        """``action``: pause, resume or cancel."""
        return self._json("POST", f"/runs/{run}/{action}")

    def retry(self, run: int, *, reason: str = "") -> int:
        """Put what failed, or what failed for a reason, back to work; how many pairs."""
        return int(self._json("POST", f"/runs/{run}/retry", {"reason": reason})["count"])

    def set_budget(
        self, run: int, *, tokens: int | None = None, cost: str | None = None
    ) -> dict[str, Any]:
        """None: no bound."""
        return self._json("POST", f"/runs/{run}/budget", {"tokens": tokens, "cost": cost})

    def next_round(self, run: int) -> dict[str, Any]:
        """What the run selects now as a dataset, to start a further run from."""
        return self._json("POST", f"/runs/{run}/next-round")

    def watch(self, run: int) -> Iterator[dict[str, Any]]:
        """How the run stands, each time that something changed, until it has ended."""
        while True:
            try:
                for event, progress in self._events(f"/runs/{run}/events"):
                    yield progress
                    if event == "end":
                        return
            except Problem as problem:
                if problem.status not in RETRIED | {0}:
                    raise
                time.sleep(2.0)
