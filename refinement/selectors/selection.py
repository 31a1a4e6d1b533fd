"""What a run selects: human decisions over verdicts over nothing.

=========== ======================= ===========================================
decision    pair                    kept
=========== ======================= ===========================================
none        the verdict's choice    as the verdict says; not if failed or open
accept      the verdict's choice    as the verdict says: it stands
original    the original            yes
candidate   the chosen rewrite      yes, though a filter of the policy drops it
edit        the person's text       yes
drop        the verdict's choice    no
=========== ======================= ===========================================

Rows come in the order of the dataset, a chunk of them at a time, in constant memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.models import Candidate, Decision, RunSample, Score, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refinement.method.pairs import Pair
    from refinement.models import Run

CHUNK = 500
ORIGINAL = "original"
DROPPED_BY_HAND = "dropped_by_hand"
FAILED = "failed"
UNFINISHED = "unfinished"

Action = Decision.Action


@dataclass(frozen=True, slots=True)
class SelectedPair:
    """One sample of a run and what counts for it.

    ``source`` is ``original``, or the kind of rewrite: ``instruction``, ``response``, ``edit``.
    ``by`` is ``verdict``, the name of the person who decided, or empty where nobody has said a
    word. ``reason`` tells why it is not kept: the verdict's code, ``dropped_by_hand``, ``failed``
    or ``unfinished``; empty if kept. ``overrides``: a person decided otherwise than the verdict.
    ``before`` and ``after`` are the scores of the original and of ``pair``, where asked for.
    """

    run_sample_id: int
    position: int
    pair: Pair
    extra: dict[str, Any]
    layout: list[str]
    source: str
    by: str
    kept: bool
    reason: str
    action: str
    overrides: bool
    sentence: str
    before: Score | None = None
    after: Score | None = None


def effective_pairs(
    run: Run, *, include: str = "kept", with_scores: bool = False
) -> Iterator[SelectedPair]:
    """The selection of ``run`` in the order of its dataset.

    ``include`` is ``kept`` or ``all``; with ``all`` the others carry the reason why they are not.
    """
    if include not in {"kept", "all"}:
        raise ValueError(f"include is 'kept' or 'all', not {include!r}")
    for rows in _chunks(run):
        scores = _scores(rows) if with_scores else {}
        for row in rows:
            selected = _select(row, scores)
            if selected.kept or include == "all":
                yield selected


def _chunks(run: Run) -> Iterator[list[RunSample]]:
    """By key, not by cursor: a long export holds neither a snapshot nor a connection's state."""
    rows = (
        RunSample.objects.filter(run=run)
        .select_related("sample", "verdict__chosen", "decision__candidate", "decision__user")
        .defer("verdict__chosen__criticism", "decision__candidate__criticism", "error")
        .order_by("position")
    )
    last = -1
    while chunk := list(rows.filter(position__gt=last)[:CHUNK]):
        yield chunk
        last = chunk[-1].position


def _scores(rows: Sequence[RunSample]) -> dict[tuple[int, int | None], Score]:
    found = Score.objects.filter(run_sample__in=rows)
    return {(score.run_sample_id, score.candidate_id): score for score in found}


def _select(row: RunSample, scores: dict[tuple[int, int | None], Score]) -> SelectedPair:
    verdict: Verdict | None = getattr(row, "verdict", None)
    decision = row.decision
    action = decision.action if decision else ""
    student_keeps = bool(row.state == RunSample.State.DONE and verdict is not None and verdict.kept)
    student_choice = verdict.chosen if verdict is not None else None
    kept = _kept(action, student_keeps=student_keeps)
    chosen = _chosen(decision, student_choice)
    return SelectedPair(
        run_sample_id=row.pk,
        position=row.position,
        pair=_pair(row, chosen),
        extra=row.sample.extra,
        layout=row.sample.layout,
        source=chosen.kind if chosen else ORIGINAL,
        by=_by(decision, verdict),
        kept=kept,
        reason="" if kept else _reason(row, action, verdict),
        action=action,
        overrides=bool(action)
        and (kept != student_keeps or (kept and _id(chosen) != _id(student_choice))),
        sentence=str(verdict) if verdict else "",
        before=scores.get((row.pk, None)),
        after=scores.get((row.pk, _id(chosen))),
    )


def _by(decision: Decision | None, verdict: Verdict | None) -> str:
    if decision is not None:
        return decision.user.get_username()
    return "verdict" if verdict is not None and verdict.kept is not None else ""


def _kept(action: str, *, student_keeps: bool) -> bool:
    if action in {Action.ORIGINAL, Action.CANDIDATE, Action.EDIT}:
        return True
    return student_keeps and action != Action.DROP


def _chosen(decision: Decision | None, student_choice: Candidate | None) -> Candidate | None:
    """The rewrite that counts; ``None``: the original."""
    if decision is None or decision.action in {Action.ACCEPT, Action.DROP}:
        return student_choice
    return decision.candidate if decision.action != Action.ORIGINAL else None


def _pair(row: RunSample, chosen: Candidate | None) -> Pair:
    if chosen is None:
        return row.sample.as_pair()
    chosen.run_sample = row  # it is this very row: no query for it
    return chosen.as_pair()


def _reason(row: RunSample, action: str, verdict: Verdict | None) -> str:
    if action == Action.DROP:
        return DROPPED_BY_HAND
    if row.state == RunSample.State.FAILED:
        return FAILED
    if row.state != RunSample.State.DONE or verdict is None:
        return UNFINISHED
    return verdict.code or "not_kept"


def _id(candidate: Candidate | None) -> int | None:
    return candidate.pk if candidate else None
