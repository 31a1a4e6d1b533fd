"""How a reviewer set up the room, carried in the address so that it can be kept and sent on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from django.urls import reverse

from refinement.selectors.queue import QueueFilter

if TYPE_CHECKING:
    from collections.abc import Mapping


class Layout(StrEnum):
    """How two texts are laid beside each other."""

    DIFF = "diff"
    SIDE = "side"
    PLAIN = "plain"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class RoomState:
    """``queue``, ``layout`` and ``blanks`` go along to the next pair; the rest belongs to this one.

    ``of`` is the version shown (empty: the one that matters most), ``against`` what it is compared
    with: ``original`` or ``parent``.
    """

    queue: QueueFilter = field(default_factory=QueueFilter)
    layout: Layout = Layout.DIFF
    blanks: bool = False
    of: str = ""
    against: str = "original"
    editing: bool = False
    full: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read an address; what is unknown falls back to the default."""
        layout = query.get("view", "")
        return cls(
            queue=QueueFilter.from_query(query),
            layout=Layout(layout) if layout in set(Layout) else Layout.DIFF,
            blanks=query.get("blanks") == "1",
            of=query.get("of", ""),
            against="parent" if query.get("against") == "parent" else "original",
            editing=query.get("edit") == "1",
            full=query.get("full") == "1",
        )

    @property
    def carry(self) -> str:
        """The query string for any other pair, with its question mark, or nothing."""
        return self.query()

    @property
    def for_another(self) -> Self:
        """As another pair opens: without what belonged to this one."""
        return type(self)(queue=self.queue, layout=self.layout, blanks=self.blanks)

    def query(self, **extra: str) -> str:
        """What goes along, plus ``extra``; defaults are left out to keep addresses short."""
        values = {
            **self.queue.as_query(),
            "view": "" if self.layout is Layout.DIFF else self.layout,
            "blanks": "1" if self.blanks else "",
            **extra,
        }
        kept = {name: value for name, value in values.items() if value}
        return f"?{urlencode(kept)}" if kept else ""

    def here(self, **extra: str) -> str:
        """The query string for the same pair, with some of what is on screen changed."""
        own = {
            "of": self.of,
            "against": "" if self.against == "original" else self.against,
            "full": "1" if self.full else "",
        }
        return self.query(**(own | extra))

    def pair_url(self, run_id: int, run_sample_id: int) -> str:
        return reverse("review-pair", args=[run_id, run_sample_id]) + self.carry
