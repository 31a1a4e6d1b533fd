"""Everything one page of the review room shows of one pair, in a constant number of queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import BooleanField, F, prefetch_related_objects
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext

from refinement.method.pairs import Side
from refinement.models import (
    Candidate,
    Comment,
    Decision,
    Run,
    RunSample,
    Score,
    TeacherCall,
    Verdict,
)
from refinement.selectors.kept_statements import kept_statement
from refinement.selectors.queue import Mark, mark_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model, QuerySet

    from refinement.method.pairs import Pair
    from refinement.models import User

ORIGINAL = "original"
_LOT = 20  # of a person's decisions, looked at first for what "undo" takes back
_KEYS: dict[str, str] = {Candidate.Kind.INSTRUCTION: "1", Candidate.Kind.RESPONSE: "2"}


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a pair: the original, a rewrite of either phase, or a person's edit.

    ``key`` names it in addresses: ``original``, ``1`` (the instruction's rewrite), ``2`` (the
    response's), or ``e`` and the edit's id. ``won``: it won its comparison (``None``: there was
    none). ``chosen``: the student's verdict led to it. ``counts``: it would be exported now.
    """

    key: str
    name: str
    pair: Pair
    candidate: Candidate | None = None
    score: Score | None = None
    parent_key: str = ORIGINAL
    won: bool | None = None
    chosen: bool = False
    counts: bool = False

    @property
    def phase(self) -> str:
        """Which comparison a rewrite was made for: ``instruction``, ``response``, else empty."""
        return "" if self.candidate is None or self.is_edit else self.candidate.kind

    @property
    def is_original(self) -> bool:
        return self.candidate is None

    @property
    def is_edit(self) -> bool:
        return self.candidate is not None and self.candidate.kind == Candidate.Kind.EDIT


@dataclass(frozen=True, slots=True)
class PairView:
    """One pair with all that is known of it."""

    run_sample: RunSample
    versions: list[Version]
    verdict: Verdict | None
    decision: Decision | None
    history: list[Decision]
    comments: list[Comment]
    calls: list[TeacherCall]
    mark: Mark
    by_key: dict[str, Version] = field(default_factory=dict)

    @property
    def original(self) -> Version:
        return self.versions[0]

    @property
    def flagged(self) -> bool:
        return getattr(self.run_sample, "flag", None) is not None

    @property
    def primary(self) -> Version:
        """What to look at first: a person's text, else the student's choice, else its rival."""
        if self.decision and self.decision.candidate_id:
            return next(v for v in self.versions if v.candidate == self.decision.candidate)
        rewrites = [version for version in self.versions if not version.is_edit]
        chosen = next((version for version in rewrites if version.chosen), self.original)
        return rewrites[-1] if chosen.is_original else chosen

    @property
    def tokens(self) -> int:
        """Those that were paid for: a reply from storage cost nothing."""
        paid = (call for call in self.calls if not call.from_storage)
        return sum(call.prompt_tokens + call.completion_tokens for call in paid)

    @property
    def cost(self) -> Decimal:
        return sum((call.cost for call in self.calls), Decimal(0))

    @property
    def judged(self) -> bool:
        """Whether there is a whole verdict that can be accepted."""
        return self.verdict is not None and self.verdict.kept is not None

    def version(self, key: str) -> Version | None:
        return self.by_key.get(key)


def pair_view(run_sample: RunSample) -> PairView:
    """Read a pair: four queries, and one each for decisions, editors, remarks and calls if any.

    A pair from ``whole_pair`` is taken as it was read, any other one read anew.
    """
    found: Any = run_sample
    if not hasattr(run_sample, "has_decisions"):
        found = whole_pair(run_sample.pk)
    history = _history(found) if found.has_decisions else []
    verdict = _verdict(found)
    versions = _versions(found, verdict, history)
    return PairView(
        run_sample=found,
        versions=versions,
        verdict=verdict,
        decision=found.decision,
        history=history,
        comments=list(found.comments.select_related("user") if found.has_comments else ()),
        calls=list(found.teacher_calls.defer("text") if found.has_calls else ()),
        mark=mark_of(
            state=found.state,
            verdict_kept=verdict.kept if verdict else None,
            action=found.decision.action if found.decision else None,
        ),
        by_key={version.key: version for version in versions},
    )


def whole_pair(run_sample_id: int) -> RunSample | None:
    """A pair with what hangs on it one by one, and whether there is more; ``None``: no such pair.

    The run is read by a statement of its own: PostgreSQL plans two small joins several times
    faster than one of nine tables. Of its dataset only the file's name is read.
    """
    pair = next(iter(_whole_pairs(run_sample_id)), None)
    if pair is not None:
        (pair.run,) = _whole_runs(pair.run_id)
    return pair


@kept_statement
def _whole_pairs(run_sample_id: int) -> QuerySet[RunSample]:
    pairs = RunSample.objects.select_related("sample", "verdict", "flag")
    return pairs.filter(pk=run_sample_id).annotate(
        has_decisions=_has_any(Decision),
        has_comments=_has_any(Comment),
        has_calls=_has_any(TeacherCall),
    )


@kept_statement
def _whole_runs(run_id: int) -> QuerySet[Run]:
    run = Run.objects.select_related("project", "review_plan").filter(pk=run_id)
    return run.annotate(dataset_filename=F("dataset__filename"))


@kept_statement
def _candidates(run_sample_id: int) -> QuerySet[Candidate]:
    return Candidate.objects.filter(run_sample_id=run_sample_id)


@kept_statement
def _scores(run_sample_id: int) -> QuerySet[Score]:
    return Score.objects.filter(run_sample_id=run_sample_id)


def _has_any(model: type[Model]) -> RawSQL:
    """Whether a pair has rows of a model: a page asks three times, and Django takes as long to
    write such a condition as for the rest of the statement."""
    pair, rows = RunSample._meta.db_table, model._meta.db_table
    there = f"EXISTS (SELECT 1 FROM {rows} x WHERE x.run_sample_id = {pair}.id)"  # noqa: S608 - our own names
    return RawSQL(there, (), BooleanField())  # noqa: S611 - the same


@dataclass(frozen=True, slots=True)
class OwnDecision:
    """A decision of the reader's, by its id, and the pair's place in its run."""

    pk: int
    position: int


def last_own_decision(run: Run, user: User) -> OwnDecision | None:
    """What "undo" takes back: the person's latest decision in the run that still counts.

    A walk back along what the person said, mostly of one step. Asked for "the latest of those that
    count", PostgreSQL reads all pairs of a run in which the person has decided thousands.
    """
    rows, lot = _latest_said(run.pk, user.pk), _LOT
    while rows:
        for pk, counting, position in rows:
            if pk == counting:
                return OwnDecision(pk, position)
        lot = min(4 * lot, 5_000)
        rows = list(_said(run.pk, user.pk).filter(pk__lt=rows[-1][0])[:lot])
    return None


@kept_statement
def _latest_said(run_id: int, user_id: int) -> QuerySet[Decision, tuple[int, int | None, int]]:
    return _said(run_id, user_id)[:_LOT]


def _said(run_id: int, user_id: int) -> QuerySet[Decision, tuple[int, int | None, int]]:
    said = Decision.objects.filter(run_id=run_id, user_id=user_id).order_by("-id")
    return said.values_list("pk", "run_sample__decision_id", "run_sample__position")


def _history(run_sample: RunSample) -> list[Decision]:
    """All that was decided, with what was undone by what: no decision is read twice."""
    history = _decisions(run_sample.pk)
    by_id = {row.pk: row for row in history}
    undone_by = Decision._meta.get_field("undone_by")
    for row in history:
        row.run_sample = run_sample
        undone_by.set_cached_value(row, None)
    for row in history:
        if row.undoes_id is not None:
            row.undoes = by_id[row.undoes_id]  # which has it as ``undone_by`` from now on
    counting = run_sample.decision_id
    run_sample.decision = None if counting is None else by_id.get(counting)
    return history


@kept_statement
def _decisions(run_sample_id: int) -> QuerySet[Decision]:
    return Decision.objects.filter(run_sample_id=run_sample_id).select_related("user", "candidate")


def _verdict(run_sample: RunSample) -> Verdict | None:
    try:
        return run_sample.verdict
    except ObjectDoesNotExist:
        return None


def _versions(
    run_sample: RunSample, verdict: Verdict | None, history: Sequence[Decision]
) -> list[Version]:
    candidates = _with_editors(_candidates(run_sample.pk), history)
    scores = {score.candidate_id: score for score in _scores(run_sample.pk)}
    keys: dict[int | None, str] = {None: ORIGINAL}
    keys |= {c.pk: _KEYS.get(c.kind, f"e{c.pk}") for c in candidates}
    chosen = keys.get(verdict.chosen_id) if verdict else None
    counting = keys.get(_counting(run_sample, verdict, nothing=-1))
    versions = [
        Version(
            key=ORIGINAL,
            name=gettext("Original"),
            pair=run_sample.sample.as_pair(),
            score=scores.get(None),
            chosen=chosen == ORIGINAL,
            counts=counting == ORIGINAL,
        )
    ]
    for candidate in candidates:
        candidate.run_sample = run_sample  # as_pair() reads the sample through it
        versions.append(
            Version(
                key=keys[candidate.pk],
                name=_name(candidate),
                pair=candidate.as_pair(),
                candidate=candidate,
                score=scores.get(candidate.pk),
                parent_key=keys.get(candidate.parent_id, ORIGINAL),
                won=_won(candidate, verdict),
                chosen=chosen == keys[candidate.pk],
                counts=counting == keys[candidate.pk],
            )
        )
    return versions


def _with_editors(candidates: list[Candidate], history: Sequence[Decision]) -> list[Candidate]:
    """Who wrote an edit mostly decided with it; others are read, all at once."""
    known = {row.user_id: row.user for row in history}
    unknown = []
    for candidate in candidates:
        if candidate.created_by_id in known:
            candidate.created_by = known[candidate.created_by_id]
        elif candidate.created_by_id is not None:
            unknown.append(candidate)
    prefetch_related_objects(unknown, "created_by")
    return candidates


def _counting(run_sample: RunSample, verdict: Verdict | None, *, nothing: int) -> int | None:
    """The id of the candidate that would be exported now (``None``: the original)."""
    decision = run_sample.decision
    if decision is None or decision.action == Decision.Action.ACCEPT:
        return verdict.chosen_id if verdict and verdict.kept else nothing
    if decision.action == Decision.Action.DROP:
        return nothing
    return decision.candidate_id


def _won(candidate: Candidate, verdict: Verdict | None) -> bool | None:
    if verdict is None or candidate.kind == Candidate.Kind.EDIT:
        return None
    first = candidate.kind == Candidate.Kind.INSTRUCTION
    winner = verdict.instruction_winner if first else verdict.response_winner
    return winner == Side.CANDIDATE if winner else None


def _name(candidate: Candidate) -> str:
    match candidate.kind:
        case Candidate.Kind.INSTRUCTION:
            return gettext("Rewrite 1")
        case Candidate.Kind.RESPONSE:
            return gettext("Rewrite 2")
    who = candidate.created_by.get_username() if candidate.created_by else gettext("nobody")
    return gettext("Edit by %(who)s") % {"who": who}
