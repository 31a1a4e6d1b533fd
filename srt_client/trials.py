"""Before a run: prompts, what would be asked, a teacher tried, an estimate."""

from __future__ import annotations

from typing import Any

from srt_client.wire import Problem, Wire, query


class Trials(Wire):
    """``options``: teacher, protocol, prompts, pair."""

    def prompts(self) -> list[dict[str, Any]]:
        """Those that a run may have in its own words, with their defaults."""
        return list(self._json("GET", "/prompts")["items"])

    def preview_questions(self, project: int, dataset: int, **options: Any) -> dict[str, Any]:
        """What the teacher would be asked about a pair."""
        body = {"dataset": dataset, **options}
        return self._json("POST", f"/projects/{project}/trials/preview", body)

    def start_trial(self, project: int, dataset: int, **options: Any) -> dict[str, Any]:
        """Ask about one pair; with ``measure=True`` about a few. ``wait_trial`` has the replies."""
        return self._json("POST", f"/projects/{project}/trials", {"dataset": dataset, **options})

    def wait_trial(
        self, trial: int, *, limit: int | None = None, seconds: float = 3600.0
    ) -> dict[str, Any]:
        """With the ``forecast`` of a run. Raises Problem where the teacher could not be asked."""
        place = f"/trials/{trial}{query({'limit': limit})}"
        found = self._wait(lambda: self._json("GET", place), {"done", "failed"}, seconds)
        if found["status"] == "failed":
            raise Problem(409, found["error"])
        return found
