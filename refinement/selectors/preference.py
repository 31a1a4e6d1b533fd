"""Preference pairs: the response that the selected one beat, under the same instruction.

Only such pairs teach a preference between responses. Where the student compared two pairs with
different instructions, or nothing was compared, there is no rejected response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F, FilteredRelation, Q

from refinement.method.pairs import Side
from refinement.models import Candidate

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from refinement.models import RunSample
    from refinement.selectors.selection import SelectedPair

_TEXTS = ("instruction", "input", "response")
# Four versions of a pair, in the order of the columns: as imported, as the verdict chose, the
# teacher's rewrite of the response, and what that rewrote.
BEATEN_COLUMNS = (
    *("verdict__chosen_id", "verdict__chosen__kind", "verdict__response_winner"),
    *("rewrite_pk", "rewrite_parent_id"),
    *(f"sample__{name}" for name in _TEXTS),
    *(f"verdict__chosen__{name}" for name in _TEXTS),
    *(f"rewrite_{name}" for name in _TEXTS),
    *(f"rewrite_parent_{name}" for name in _TEXTS),
)


def with_beaten(rows: QuerySet[RunSample, Any]) -> QuerySet[RunSample, Any]:
    """``selected_rows`` annotated with what ``BEATEN_COLUMNS`` name."""
    of_response = Q(candidates__kind=Candidate.Kind.RESPONSE)
    rows = rows.annotate(rewrite=FilteredRelation("candidates", condition=of_response))
    return rows.annotate(
        rewrite_pk=F("rewrite__pk"),
        rewrite_parent_id=F("rewrite__parent_id"),
        **{f"rewrite_{name}": F(f"rewrite__{name}") for name in _TEXTS},
        **{f"rewrite_parent_{name}": F(f"rewrite__parent__{name}") for name in _TEXTS},
    )


def beaten_response(selected: SelectedPair) -> str | None:
    """The response that ``selected`` beat, read with ``more=BEATEN_COLUMNS``; ``None``: none."""
    chosen_id, kind, winner, rewrite_id, parent_id, *texts = selected.more
    original, chosen, rewrite, parent = (tuple(texts[at : at + 3]) for at in (0, 3, 6, 9))
    mine = (selected.instruction, selected.input, selected.response)
    students = chosen if chosen_id is not None else original
    if winner is None:  # nobody compared anything
        return None
    if mine != students:  # a person chose otherwise
        loser = students
    elif kind == Candidate.Kind.RESPONSE:
        loser = parent if parent_id is not None else original
    elif rewrite_id is not None and winner == Side.ORIGINAL and parent_id == chosen_id:
        loser = rewrite
    else:
        return None
    same_instruction = loser[:2] == mine[:2]
    return loser[2] if same_instruction and loser[2] != mine[2] else None
