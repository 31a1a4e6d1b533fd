"""A pair's history beside its texts: decisions and comments together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from refinement.models import Comment, Decision
    from refinement.selectors.review import PairView


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a pair's history: a decision or a comment."""

    at: datetime
    decision: Decision | None = None
    comment: Comment | None = None
    undone_by: Decision | None = None
    counts: bool = False


def timeline_of(view: PairView) -> list[Entry]:
    """Decisions and comments together, the latest first."""
    decided = [
        Entry(
            at=row.created_at,
            decision=row,
            undone_by=getattr(row, "undone_by", None),
            counts=row == view.decision,
        )
        for row in view.history
    ]
    said = [Entry(at=comment.created_at, comment=comment) for comment in view.comments]
    return sorted(decided + said, key=lambda entry: entry.at, reverse=True)
