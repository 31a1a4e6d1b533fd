"""What people did in a run, newest first: bulk acts, and every decision. Append-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.models import BulkAct, Decision
from refinement.selectors.access import role_of
from refinement.selectors.review_sharing import plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    from refinement.models import Run, User

PAGE, CHUNK = 50, 2_000

COLUMNS = (
    "id",
    "at",
    "pair",
    "line",
    "user",
    "action",
    "version",
    "counts",
    "previous",
    "undoes",
    "bulk_act",
)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """``older``: the id to go on before, where there is more."""

    decisions: list[Decision]
    older: int | None


def bulk_acts(run: Run, *, limit: int = 50) -> list[BulkAct]:
    return list(run.bulk_acts.select_related("user", "undone_by")[:limit])


def history_page(run: Run, reader: User, *, before: int | None = None) -> HistoryPage:
    """A page of decisions that are older than the decision ``before``."""
    rows = decisions_of(run, reader).order_by("-id")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PAGE + 1])
    return HistoryPage(found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None)


def history_records(run: Run, reader: User) -> Iterator[dict[str, Any]]:
    """Every decision in the order in which they were made, as plain values under ``COLUMNS``.

    ``pair`` is the pair's number as the pages show it; ``version`` the kind of text that was taken;
    ``counts`` whether this decision counts now.
    """
    rows = decisions_of(run, reader).order_by("id")
    last = 0
    while chunk := list(rows.filter(pk__gt=last)[:CHUNK]):
        for decision in chunk:
            yield _record(decision)
        last = chunk[-1].pk


def _record(decision: Decision) -> dict[str, Any]:
    values = (
        decision.pk,
        decision.created_at.isoformat(),
        decision.run_sample.position + 1,
        decision.run_sample.sample.line,
        decision.user.get_username(),
        decision.action,
        decision.candidate.kind if decision.candidate else "",
        decision.run_sample.decision_id == decision.pk,
        decision.previous_id,
        decision.undoes_id,
        decision.act_id,
    )
    return dict(zip(COLUMNS, values, strict=True))


def decisions_of(run: Run, reader: User) -> QuerySet[Decision]:
    """Every decision with its person and its pair, in no order.

    Under a blind plan only owners see those of a pair that is undecided again: what was said of it
    tells where its sides are from.
    """
    rows = Decision.objects.filter(run=run)
    if plan_of(run).blind and role_of(reader, run.project) != "owner":
        rows = rows.exclude(run_sample__decision=None)
    return rows.select_related("user", "candidate", "run_sample__sample").defer(
        "candidate__criticism", "candidate__response", "run_sample__sample__response"
    )
