"""Pairs, and what people say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from srt_client.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator


class Review(Wire):
    """One pair after another."""

    def pairs(self, run: int, *, show: str = "all") -> Iterator[dict[str, Any]]:
        return self._pages(f"/runs/{run}/pairs?show={quote(show)}")

    def pair(self, run: int, pair: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}/pairs/{pair}")

    def decide(
        self,
        run: int,
        pair: int,
        action: str,
        *,
        candidate: int | None = None,
        edit: dict[str, str] | None = None,
        seen: int | None = None,
    ) -> dict[str, Any]:
        """``seen``: ``decision`` of the pair as you read it; then nobody is overruled unseen."""
        body = {"action": action, "candidate": candidate, "edit": edit, "seen": seen}
        return self._json("POST", f"/runs/{run}/pairs/{pair}/decisions", body)

    def undo(self, run: int, pair: int) -> dict[str, Any]:
        return self._json("POST", f"/runs/{run}/pairs/{pair}/undo", {})
