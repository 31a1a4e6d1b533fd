"""The people of a run: how they share its pairs, what is whose, how far they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srt_client.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class People(Wire):
    """Several reviewers at one run."""

    def plan(self, run: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}/plan")

    def set_plan(self, run: int, **plan: Any) -> dict[str, Any]:
        """``plan``: reviewers_per_pair, blind, seed."""
        return self._json("POST", f"/runs/{run}/plan", plan)

    def people(self, run: int) -> list[dict[str, Any]]:
        """How far everybody is who may decide."""
        return list(self._json("GET", f"/runs/{run}/people")["items"])

    def assign(self, run: int, people: Sequence[str]) -> int:
        """Give the undecided pairs that nobody has to these people; how many pairs."""
        body = {"people": list(people)}
        return int(self._json("POST", f"/runs/{run}/assignments", body)["count"])

    def take_back(self, run: int, username: str) -> int:
        """Free what a person was given and has not judged; how many pairs."""
        place = f"/runs/{run}/assignments/take-back"
        return int(self._json("POST", place, {"username": username})["count"])

    def agreement(self, run: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}/agreement")

    def disputes(self, run: int) -> Iterator[dict[str, Any]]:
        """Pairs on which the people differ; ``decide`` of an owner settles one."""
        return self._pages(f"/runs/{run}/disputes")

    def next_pair(self, run: int, *, after: int | None = None) -> int | None:
        """The next pair for this person, held for them; None where nothing is left."""
        found: int | None = self._json("POST", f"/runs/{run}/next", {"after": after})["pair"]
        return found

    def opinions(self, run: int, pair: int) -> list[dict[str, Any]]:
        return list(self._json("GET", f"/runs/{run}/pairs/{pair}/opinions")["items"])

    def withdraw(self, run: int, pair: int) -> None:
        """Take one's opinion on a pair back."""
        self._json("POST", f"/runs/{run}/pairs/{pair}/opinions/withdraw")
