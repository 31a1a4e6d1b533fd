"""What the list shows of each pair, and of what counts for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.db.models.functions import Substr

from refinement.models import Decision, RunSample

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE_CHARACTERS = 90
Action, State = Decision.Action, RunSample.State


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
    rows = RunSample.objects.filter(pk__in=ids)
    found = rows.annotate(title=Substr("sample__instruction", 1, TITLE_CHARACTERS)).values_list(
        "pk",
        "position",
        "title",
        "queue_entry__margin",
        "state",
        "queue_entry__verdict_kept",
        "queue_entry__action",
    )
    lines = {
        pk: QueueLine(
            run_sample_id=pk,
            position=position,
            title=" ".join(title.split()),
            margin=margin,
            mark=mark_of(state=state, verdict_kept=kept, action=action or None),
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
