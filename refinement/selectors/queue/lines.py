"""What the list shows of each pair, and of what counts for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from refinement.models import Decision, QueueEntry, RunSample, Sample
from refinement.selectors.ids import one_of
from refinement.selectors.planned import planned

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE_CHARACTERS = 90
Action, State = Decision.Action, RunSample.State

_LINES = (
    "SELECT p.id, p.position, SUBSTR(s.instruction, 1, %s), e.margin, p.state, e.verdict_kept, "
    f"e.action FROM {RunSample._meta.db_table} p "
    f"JOIN {Sample._meta.db_table} s ON s.id = p.sample_id "
    f"LEFT JOIN {QueueEntry._meta.db_table} e ON e.run_sample_id = p.id WHERE "
)


class Mark(StrEnum):
    """What counts for a pair now, and who said so."""

    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"
    WORKING = "working"


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One pair in the list. ``margin``: how close the student's call was, in the signal's unit."""

    run_sample_id: int
    position: int
    title: str
    margin: float | None
    mark: Mark
    decided: bool
    edited: bool
    current: bool


def lines_of(ids: Sequence[int], *, current: int | None = None) -> list[QueueLine]:
    """In the order of the ids, with the beginning of each instruction, however long it is."""
    if not ids:
        return []
    asked, value = one_of("p.id", ids)
    # By hand, as each page of the room asks for it.
    found = planned(_LINES + asked, [TITLE_CHARACTERS, value])
    lines = {
        pk: QueueLine(
            run_sample_id=pk,
            position=position,
            title=" ".join(title.split()),
            margin=margin,
            mark=mark_of(
                state=state,
                verdict_kept=None if kept is None else bool(kept),  # SQLite's are numbers
                action=action or None,
            ),
            decided=bool(action),
            edited=action == Action.EDIT,
            current=pk == current,
        )
        for pk, position, title, margin, state, kept, action in found
    }
    return [lines[pk] for pk in ids if pk in lines]


def mark_of(*, state: str, verdict_kept: bool | None, action: str | None) -> Mark:
    """What counts for a pair: the decision, else the verdict, else where the pipeline stands."""
    if action in (Action.ORIGINAL, Action.CANDIDATE, Action.EDIT):
        return Mark.KEPT
    if action == Action.DROP:
        return Mark.DROPPED
    if state == State.FAILED:
        return Mark.FAILED
    if state != State.DONE or verdict_kept is None:
        return Mark.WORKING
    return Mark.KEPT if verdict_kept else Mark.DROPPED
