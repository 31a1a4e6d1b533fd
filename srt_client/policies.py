"""The policy of a run, and what another one would keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srt_client.wire import Wire, query

if TYPE_CHECKING:
    from collections.abc import Iterator


class Policies(Wire):
    """A policy is given by what differs from the run's own, such as ``max_ifd=0.9``."""

    def policy(self, run: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}/policy")

    def what_if(self, run: int, **policy: Any) -> dict[str, Any]:
        """What it would keep, beside what the run keeps now. ``None`` takes a bound away."""
        return self._json("GET", f"/runs/{run}/policy/what-if{query(_said(policy))}")

    def compare_policies(self, run: int, **filters: Any) -> list[dict[str, Any]]:
        """Every policy under these filters."""
        found = self._json("GET", f"/runs/{run}/policy/compare{query(_said(filters))}")
        return list(found["items"])

    def use_policy(self, run: int, **policy: Any) -> dict[str, Any]:
        """Make it the run's own; ``wait_policy`` until the verdicts have followed."""
        return self._json("POST", f"/runs/{run}/policy", policy)

    def wait_policy(self, run: int, *, seconds: float = 3600.0) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            found = self.policy(run)
            return {**found, "status": "changing" if found["deriving"] else "changed"}

        return self._wait(look, {"changed"}, seconds)

    def policy_changes(self, run: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/runs/{run}/policy/changes")

    def figures(self, run: int) -> dict[str, Any]:
        """What the run's pictures are drawn from."""
        return self._json("GET", f"/runs/{run}/figures")

    def points(self, run: int, **policy: Any) -> dict[str, Any]:
        """Every scored pair as a point, in columns, with its verdict under the policy."""
        return self._json("GET", f"/runs/{run}/points{query(_said(policy))}")


def _said(policy: dict[str, Any]) -> dict[str, Any]:
    """An address has no null."""
    return {name: "none" if value is None else value for name, value in policy.items()}
