"""What a reviewer set the queue to: which pairs, in which order. Read from and written to links."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from refinement.models import Decision, QueueEntry
from refinement.selectors.queue.turned import read_policy, write_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

Cell = QueueEntry.Cell


class Show(StrEnum):
    """Which pairs the queue holds."""

    UNDECIDED = "undecided"
    DECIDED = "decided"
    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"
    ALL = "all"


CELLS: dict[Show, tuple[Cell, ...]] = {
    Show.UNDECIDED: (Cell.OPEN_KEPT, Cell.OPEN_DROPPED, Cell.OPEN_FAILED),
    Show.DECIDED: (
        Cell.SAID_KEPT,
        Cell.SAID_DROPPED,
        Cell.SAID_FAILED,
        Cell.EARLY_KEPT,
        Cell.EARLY_DROPPED,
    ),
    Show.KEPT: (Cell.OPEN_KEPT, Cell.SAID_KEPT, Cell.EARLY_KEPT),
    Show.DROPPED: (Cell.OPEN_DROPPED, Cell.SAID_DROPPED, Cell.EARLY_DROPPED),
    Show.FAILED: (Cell.OPEN_FAILED, Cell.SAID_FAILED),
    Show.ALL: (
        Cell.OPEN_KEPT,
        Cell.OPEN_DROPPED,
        Cell.OPEN_FAILED,
        Cell.SAID_KEPT,
        Cell.SAID_DROPPED,
        Cell.SAID_FAILED,
    ),
}


class Order(StrEnum):
    """``MARGIN``: the student's closest calls first, pairs without a comparison last."""

    POSITION = "position"
    MARGIN = "margin"
    IFD = "ifd"  # most to learn from its instruction first
    R_IFD = "r_ifd"  # the response that tells most of its instruction first
    LENGTH = "length"  # longest first
    DISAGREEMENT = "disagreement"  # among people, then with the verdict
    RANDOM = "random"  # by a seed


class Phase(StrEnum):
    """Which rewrites the student took."""

    NONE = "none"
    INSTRUCTION = "instruction"
    RESPONSE = "response"
    BOTH = "both"


PHASES = {Phase.NONE: 0, Phase.INSTRUCTION: 1, Phase.RESPONSE: 2, Phase.BOTH: 3}
FLAGS = ("flagged", "truncated", "unscorable", "straddled")  # the first by people
SCORES = ("ifd", "r_ifd", "delta_ifd", "delta_r_ifd")
LONGEST_SEARCH = 200  # characters


@dataclass(frozen=True, slots=True)
class Range:
    """A score from ``low`` to ``high``, both included; ``None``: open. Unscored pairs are out."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What a reviewer set the queue to. Everything but ``show`` and ``order`` narrows ``show``.

    ``verdict`` is ``kept``, ``dropped``, ``none`` or a code such as ``response_not_accepted``;
    ``decision`` an action; ``reviewer`` the name of the person whose decision counts; ``ranges`` by
    score (``SCORES``): ``ifd`` and ``r_ifd`` are those of the pair that the student's choices led
    to, a delta is the rewrite's less that of what it was compared with. ``turned`` is a policy, in
    the words of ``turned.py``: pairs whose verdict it would turn, or ``against`` what people said.
    """

    show: Show = Show.UNDECIDED
    order: Order = Order.POSITION
    seed: int = 1
    verdict: str = ""
    decision: str = ""
    reviewer: str = ""
    phase: Phase | None = None
    flag: str = ""
    text: str = ""
    turned: str = ""
    against: bool = False
    ranges: tuple[tuple[str, Range], ...] = field(default=())

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Self:
        """Read an address; what is unknown or no number falls back to the default."""
        show, order, phase = query.get("show"), query.get("order"), query.get("phase")
        decision, flag = query.get("decision", ""), query.get("flag", "")
        return cls(
            show=Show(show) if show in set(Show) else Show.UNDECIDED,
            order=Order(order) if order in set(Order) else Order.POSITION,
            seed=_seed(query.get("seed", "")),
            verdict=_word(query.get("verdict", "")),
            decision=decision if decision in _ACTIONS else "",
            reviewer=query.get("reviewer", "")[:150].replace("\0", ""),
            phase=Phase(phase) if phase in set(Phase) else None,
            flag=flag if flag in FLAGS else "",
            text=" ".join(query.get("q", "").replace("\0", " ").split())[:LONGEST_SEARCH],
            turned=(turned := _policy(query.get("turns", ""))),
            against=bool(turned) and query.get("against") == "1",
            ranges=_ranges(query),
        )

    def as_query(self) -> dict[str, str]:
        """The address's words for it, without the defaults."""
        words = {
            "show": "" if self.show is Show.UNDECIDED else str(self.show),
            "order": "" if self.order is Order.POSITION else str(self.order),
            "seed": str(self.seed) if self.order is Order.RANDOM else "",
            "verdict": self.verdict,
            "decision": self.decision,
            "reviewer": self.reviewer,
            "phase": str(self.phase or ""),
            "flag": self.flag,
            "q": self.text,
            "turns": self.turned,
            "against": "1" if self.against else "",
        }
        for name, found in self.ranges:
            words[f"{name}_min"] = "" if found.low is None else f"{found.low:g}"
            words[f"{name}_max"] = "" if found.high is None else f"{found.high:g}"
        return {name: value for name, value in words.items() if value}

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is asked for besides the list and its order."""
        plain = {"show", "order", "seed"}
        return any(getattr(self, f.name) != f.default for f in fields(self) if f.name not in plain)


_ACTIONS = {action.value for action in Decision.Action} - {Decision.Action.UNDO.value}


def _seed(text: str) -> int:
    return int(text) % 2**31 if text.isascii() and text.isdecimal() and len(text) < 12 else 1


def _word(text: str) -> str:
    return text if text.isascii() and text.replace("_", "").isalnum() and len(text) <= 40 else ""


def _policy(text: str) -> str:
    spec = read_policy(text) if text else None
    return write_policy(spec) if spec else ""


def _ranges(query: Mapping[str, Any]) -> tuple[tuple[str, Range], ...]:
    found = []
    for name in SCORES:
        wanted = Range(_number(query.get(f"{name}_min")), _number(query.get(f"{name}_max")))
        if wanted != Range():
            found.append((name, wanted))
    return tuple(found)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
