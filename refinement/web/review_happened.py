"""What a request to the room did, for the page that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinement.services.decisions import DecisionConflict
    from refinement.web.review_forms import Draft


@dataclass(frozen=True, slots=True)
class Toast:
    """What just happened. ``undo`` is the decision that its button takes back, 0: no button.

    ``edited`` is the pair whose edit was saved: its draft in the browser has served. ``opinion`` is
    the pair whose opinion its button takes back.
    """

    text: str
    undo: int = 0
    edited: int = 0
    opinion: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Happened:
    """What the request did, for the page that answers it."""

    toasts: tuple[Toast, ...] = ()
    draft: Draft | None = None
    error: str = ""
    conflict: DecisionConflict | None = None
    mine: str = ""  # in words, what the person chose when a colleague had been first
    comment: str = ""  # a comment that was refused
