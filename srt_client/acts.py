"""Acts on all pairs that a filter matches, and the history of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srt_client.wire import Wire, query

if TYPE_CHECKING:
    from collections.abc import Iterator


class Acts(Wire):
    """Filters are those of ``pairs``."""

    def preview_act(self, run: int, **filters: Any) -> dict[str, Any]:
        """``count`` and a ``sample`` of the pairs that an act on this filter would touch."""
        return self._json("GET", f"/runs/{run}/acts/preview{query(filters)}")

    def start_act(
        self,
        run: int,
        action: str,
        *,
        expected: int,
        assignee: str = "",
        **filters: Any,
    ) -> dict[str, Any]:
        """accept, original, drop, flag or assign. ``expected``: ``count`` of the preview."""
        body = {"action": action, "filter": filters, "expected": expected, "assignee": assignee}
        return self._json("POST", f"/runs/{run}/acts", body)

    def acts(self, run: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/runs/{run}/acts")

    def act(self, run: int, act: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}/acts/{act}")

    def undo_act(self, run: int, act: int) -> dict[str, Any]:
        """Take all of it back, but for what people decided since."""
        return self._json("POST", f"/runs/{run}/acts/{act}/undo")

    def wait_act(self, run: int, act: int, *, seconds: float = 3600.0) -> dict[str, Any]:
        """The act once it is done, or undone."""
        return self._wait(lambda: self.act(run, act), {"done", "undone"}, seconds)

    def history(self, run: int) -> Iterator[dict[str, Any]]:
        """Every decision, the latest first."""
        return self._pages(f"/runs/{run}/history")

    def restore(self, run: int, decision: int) -> dict[str, Any]:
        """Let count again what counted once that decision had been made: an act like others."""
        return self._json("POST", f"/runs/{run}/restore", {"decision": decision})
