"""Pairs, and what people say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srt_client.wire import Wire, query

if TYPE_CHECKING:
    from collections.abc import Iterator


class Review(Wire):
    """One pair after another."""

    def pairs(self, run: int, **filters: Any) -> Iterator[dict[str, Any]]:
        """``filters``: show, order, verdict, decision, reviewer, phase, flag, q, ifd_min, …"""
        return self._pages(f"/runs/{run}/pairs{query(filters)}")

    def pair(self, run: int, pair: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}/pairs/{pair}")

    def tokens_of(self, run: int, pair: int) -> list[dict[str, Any]]:
        """The losses of each version's single tokens."""
        return list(self._json("GET", f"/runs/{run}/pairs/{pair}/tokens")["items"])

    def ask_for_tokens(self, run: int, pair: int) -> None:
        """Of a pair that was scored before they were kept; they come by themselves."""
        self._json("POST", f"/runs/{run}/pairs/{pair}/tokens")

    def decide(
        self,
        run: int,
        pair: int,
        action: str,
        *,
        candidate: int | None = None,
        side: str = "",
        edit: dict[str, str] | None = None,
        seen: int | None = None,
    ) -> dict[str, Any]:
        """``seen``: ``decision`` of the pair as you read it; then nobody is overruled unseen.

        ``side``: of a blind pair, in place of ``candidate``.
        """
        body = {"action": action, "candidate": candidate, "side": side, "edit": edit, "seen": seen}
        return self._json("POST", f"/runs/{run}/pairs/{pair}/decisions", body)

    def undo(self, run: int, pair: int) -> dict[str, Any]:
        return self._json("POST", f"/runs/{run}/pairs/{pair}/undo", {})

    def flag(self, run: int, pair: int, *, flagged: bool = True) -> dict[str, Any]:
        return self._json("POST", f"/runs/{run}/pairs/{pair}/flag", {"flagged": flagged})

    # -- Named views ----------------------------------------------------------------------------
    def views(self, project: int) -> Iterator[dict[str, Any]]:
        """Named filters; ``pairs(run, **view["filter"])`` lists what one shows."""
        return self._pages(f"/projects/{project}/views")

    def save_view(self, project: int, name: str, **filters: Any) -> dict[str, Any]:
        return self._json("POST", f"/projects/{project}/views", {"name": name, "filter": filters})

    def delete_view(self, project: int, view: int) -> None:
        self._json("DELETE", f"/projects/{project}/views/{view}")
