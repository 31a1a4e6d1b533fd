"""How many pairs an export would hold now, counted by the database.

The same table as in ``refinement.selectors.selection``, which decides pair by pair; a test holds
the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from django.db.models import Case, CharField, Count, Q, Value, When

from refinement.models import Decision, RunSample
from refinement.selectors.selection import effective_pairs

if TYPE_CHECKING:
    from refinement.models import Run
    from refinement.selectors.selection import SelectedPair

Action, State = Decision.Action, RunSample.State

_BY_HAND = Q(decision__action__in=[Action.ORIGINAL, Action.CANDIDATE, Action.EDIT])
_VERDICT_STANDS = Q(decision__isnull=True) | Q(decision__action=Action.ACCEPT)
_KEPT = _BY_HAND | (_VERDICT_STANDS & Q(state=State.DONE, verdict__kept=True))
_OPEN = Q(state__in=[State.READY, State.LEASED]) | Q(state=State.DONE, verdict__isnull=True)


@dataclass(frozen=True, slots=True)
class ExportPreview:
    """Counts of samples. ``sources``: of the kept ones, by where their text comes from."""

    total: int
    kept: int
    sources: dict[str, int]
    dropped_by_hand: int
    failed: int
    unfinished: int
    decided: int

    @property
    def dropped_by_student(self) -> int:
        return self.total - self.kept - self.dropped_by_hand - self.failed - self.unfinished


def export_preview(run: Run) -> ExportPreview:
    """Two queries, whatever the size of the run."""
    rows = RunSample.objects.filter(run=run)
    counts = rows.aggregate(
        total=Count("pk"),
        kept=Count("pk", filter=_KEPT),
        dropped_by_hand=Count("pk", filter=Q(decision__action=Action.DROP)),
        failed=Count("pk", filter=_VERDICT_STANDS & Q(state=State.FAILED)),
        unfinished=Count("pk", filter=_VERDICT_STANDS & _OPEN),
        decided=Count("pk", filter=Q(decision__isnull=False)),
    )
    return ExportPreview(sources=_sources(run), **counts)


def _sources(run: Run) -> dict[str, int]:
    """Where the kept texts come from: original, instruction, response or edit."""
    source = Case(
        When(decision__action=Action.ORIGINAL, then=Value("original")),
        When(_BY_HAND, then="decision__candidate__kind"),
        When(verdict__chosen__isnull=True, then=Value("original")),
        default="verdict__chosen__kind",
        output_field=CharField(),
    )
    rows = RunSample.objects.filter(_KEPT, run=run).order_by()
    counted = rows.annotate(source=source).values_list("source").annotate(count=Count("pk"))
    return dict(counted)


def first_selected(run: Run, count: int) -> list[SelectedPair]:
    """The first pairs that an export would hold."""
    return list(islice(effective_pairs(run), count))
