"""What each bulk act does to a batch of locked pairs, and how it is taken back.

A further act is one function that returns the ids of the items it changed, one that takes items
back and returns how many, and their entries in ``DOING`` and ``UNDOING``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import OuterRef, Subquery

from refinement.models import (
    Assignment,
    BulkAct,
    BulkItem,
    Decision,
    Flag,
    RunSample,
    User,
    Verdict,
)
from refinement.services import assignments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Action = BulkAct.Action
Rows = dict[int, RunSample]


def _decide(act: BulkAct, items: Sequence[BulkItem], rows: Rows) -> list[int]:
    if act.action == Action.ACCEPT:
        judged = set(
            Verdict.objects.filter(run_sample__in=rows, kept__isnull=False).values_list(
                "run_sample_id", flat=True
            )
        )
        items = [item for item in items if item.run_sample_id in judged]
    said = [
        Decision(
            run_sample_id=item.run_sample_id,
            run_id=act.run_id,
            user_id=act.user_id,
            action=act.action,
            previous_id=item.seen_id,
            act=act,
        )
        for item in items
    ]
    _write(items, said)
    return [item.pk for item in items]


def _undecide(act: BulkAct, items: Sequence[BulkItem], rows: Rows) -> int:
    """Where the act's decision still counts, the one before it counts again."""
    mine = [item for item in items if _still_counts(item, rows[item.run_sample_id])]
    Decision.objects.bulk_create(
        Decision(
            run_sample_id=item.run_sample_id,
            run_id=act.run_id,
            user_id=act.undone_by_id or act.user_id,
            action=Decision.Action.UNDO,
            previous_id=item.decision_id,
            undoes_id=item.decision_id,
            act=act,
        )
        for item in mine
    )
    before = BulkItem.objects.filter(act=act, run_sample=OuterRef("pk")).values("seen")[:1]
    RunSample.objects.filter(pk__in=[item.run_sample_id for item in mine]).update(
        decision=Subquery(before)
    )
    return len(mine)


def _still_counts(item: BulkItem, row: RunSample) -> bool:
    """Whether nothing was said since. What took everything back counts where nothing does."""
    if item.decision is not None and item.decision.action == Decision.Action.UNDO:
        return row.decision_id is None
    return item.decision_id is not None and row.decision_id == item.decision_id


def _restore(act: BulkAct, items: Sequence[BulkItem], rows: Rows) -> list[int]:
    """Say again what counted then; nothing counted: an undo of everything, which names none."""
    then = _counted(act.details["decision"], rows)
    changed, said = [], []
    for item in items:
        target, now = then.get(item.run_sample_id), rows[item.run_sample_id].decision_id
        if (target.pk if target else None) == now:
            continue
        changed.append(item)
        said.append(
            Decision(
                run_sample_id=item.run_sample_id,
                run_id=act.run_id,
                user_id=act.user_id,
                action=target.action if target else Decision.Action.UNDO,
                candidate_id=target.candidate_id if target else None,
                previous_id=now,
                act=act,
            )
        )
    _write(changed, said)
    return [item.pk for item in changed]


def _counted(through: int, rows: Rows) -> dict[int, Decision | None]:
    """What counted for each pair once the decision ``through`` had been made."""
    found: dict[int, Decision | None] = {}
    earlier = Decision.objects.filter(run_sample__in=rows, pk__lte=through)
    for decision in earlier.select_related("undoes__previous").order_by("pk"):
        undone = decision.undoes
        if undone is not None:
            found[decision.run_sample_id] = undone.previous
        else:
            everything = decision.action == Decision.Action.UNDO
            found[decision.run_sample_id] = None if everything else decision
    return found


def _write(items: Sequence[BulkItem], said: Sequence[Decision]) -> None:
    """New decisions, and the pointers to them. An undo leaves nothing that counts."""
    made = Decision.objects.bulk_create(said)
    by_pair = {decision.run_sample_id: decision for decision in made}
    for item in items:
        item.decision = by_pair[item.run_sample_id]
    BulkItem.objects.bulk_update(items, ["decision"])
    own = Decision.objects.filter(run_sample=OuterRef("pk"), pk__in=[d.pk for d in made])
    pairs = RunSample.objects.filter(pk__in=by_pair)
    pairs.update(decision=Subquery(own.exclude(action=Decision.Action.UNDO).values("pk")[:1]))


def _flag(act: BulkAct, items: Sequence[BulkItem], rows: Rows) -> list[int]:
    flagged = set(Flag.objects.filter(run_sample__in=rows).values_list("run_sample_id", flat=True))
    mine = [item for item in items if item.run_sample_id not in flagged]
    Flag.objects.bulk_create(
        Flag(run_sample_id=item.run_sample_id, user_id=act.user_id, act=act) for item in mine
    )
    return [item.pk for item in mine]


def _unflag(act: BulkAct, _: Sequence[BulkItem], rows: Rows) -> int:
    return Flag.objects.filter(act=act, run_sample__in=rows).delete()[0]


def _assign(act: BulkAct, items: Sequence[BulkItem], rows: Rows) -> list[int]:
    assignee = User.objects.get(pk=act.details["assignee"])
    known = Assignment.objects.filter(run_sample__in=rows, user=assignee)
    has = set(known.values_list("run_sample_id", flat=True))
    mine = [item for item in items if item.run_sample_id not in has]
    pairs = [item.run_sample_id for item in mine]
    assignments.assign(run=act.run, pairs=pairs, user=assignee, by=act.user)
    return [item.pk for item in mine]


def _unassign(act: BulkAct, _: Sequence[BulkItem], rows: Rows) -> int:
    """What the act gave, where nobody has decided yet."""
    given = Assignment.objects.filter(
        run_sample__in=rows,
        user_id=act.details["assignee"],
        run_sample__decision=None,
    )
    return given.delete()[0]


DOING: dict[Action, Callable[[BulkAct, Sequence[BulkItem], Rows], list[int]]] = {
    Action.ACCEPT: _decide,
    Action.ORIGINAL: _decide,
    Action.DROP: _decide,
    Action.RESTORE: _restore,
    Action.FLAG: _flag,
    Action.ASSIGN: _assign,
}
UNDOING: dict[Action, Callable[[BulkAct, Sequence[BulkItem], Rows], int]] = {
    Action.ACCEPT: _undecide,
    Action.ORIGINAL: _undecide,
    Action.DROP: _undecide,
    Action.RESTORE: _undecide,
    Action.FLAG: _unflag,
    Action.ASSIGN: _unassign,
}
