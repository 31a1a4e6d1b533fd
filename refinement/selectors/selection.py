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

The database evaluates this table: ``selected_rows`` annotates the samples of a run with it, so that
a stream of pairs, a count and a filter all mean the same. Rows are then read as plain tuples; a
model instance for each would cost more than all the rest of an export.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.models import BooleanField, Case, CharField, F, FilteredRelation, Q, Value, When
from django.db.models.functions import Coalesce, NullIf

from refinement.method.pairs import Pair, Side, Turn
from refinement.models import Candidate, Decision, RunSample, Sample
from refinement.selectors.streams import stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet

    from refinement.models import Dataset, Run

ORIGINAL = "original"
DROPPED_BY_HAND = "dropped_by_hand"
FAILED = "failed"
UNFINISHED = "unfinished"

Action, State = Decision.Action, RunSample.State

_REWRITES = [Action.CANDIDATE, Action.EDIT]
_BY_HAND = Q(decision__action__in=[Action.ORIGINAL, *_REWRITES])
_VERDICT_STANDS = Q(decision=None) | Q(decision__action=Action.ACCEPT)
_TEXT_OF_VERDICT = Q(decision=None) | Q(decision__action__in=[Action.ACCEPT, Action.DROP])
_STUDENT_KEEPS = Q(state=State.DONE, verdict__kept=True)
_SAME_CHOICE = Q(decision__action=Action.ORIGINAL, verdict__chosen=None) | Q(
    decision__action__in=_REWRITES,
    verdict__chosen=F("decision__candidate"),
)
KEPT = _BY_HAND | (_VERDICT_STANDS & _STUDENT_KEEPS)


class Ratios(NamedTuple):
    """The student's two signals of one text; ``None`` where it has none."""

    ifd: float | None
    r_ifd: float | None


class SelectedPair(NamedTuple):
    """One sample of a run and what counts for it.

    ``source`` is ``original``, or the kind of rewrite: ``instruction``, ``response``, ``edit``.
    ``by`` is ``verdict``, the name of the person who decided, or empty where nobody has said a
    word. ``reason`` tells why it is not kept: the verdict's code, ``dropped_by_hand``, ``failed``
    or ``unfinished``; empty if kept. ``overrides``: a person decided otherwise than the verdict.
    The JSON texts are the sample's, as stored. ``scores`` are IFD and r-IFD of the original and
    then of the pair, and ``more`` what else was asked for.
    """

    run_sample_id: int
    position: int
    line: int
    part: int
    content_hash: str
    instruction: str
    input: str
    response: str
    context_json: str
    extra_json: str
    layout_json: str
    source: str
    reason: str
    action: str
    by: str
    sentence: str
    kept: bool
    overrides: bool
    scores: tuple[float | None, ...] = ()
    more: tuple[Any, ...] = ()

    @property
    def pair(self) -> Pair:
        return Pair(self.instruction, self.response, self.input, turns(self.context_json))

    @property
    def extra(self) -> dict[str, Any]:
        return json.loads(self.extra_json) if self.extra_json != "{}" else {}

    @property
    def layout(self) -> tuple[Any, ...]:
        return layout(self.layout_json)

    @property
    def before(self) -> Ratios | None:
        return _ratios(self.scores[:2])

    @property
    def after(self) -> Ratios | None:
        return _ratios(self.scores[2:])


def _ratios(scores: tuple[float | None, ...]) -> Ratios | None:
    return Ratios(*scores) if any(score is not None for score in scores) else None


@lru_cache(maxsize=1024)  # few records differ in their layout
def layout(text: str) -> tuple[Any, ...]:
    """A sample's stored layout."""
    return tuple(json.loads(text))


def turns(text: str) -> tuple[Turn, ...]:
    """A sample's stored context."""
    return tuple(Turn(t["role"], t["content"]) for t in json.loads(text)) if text != "[]" else ()


def outcome_rows(run: Run, *, using: str = DEFAULT_DB_ALIAS) -> QuerySet[RunSample, Any]:
    """The samples of ``run``, each with what comes of it, but not its texts: to be counted.

    Annotated are ``kept``, ``source``, ``reason``, ``action`` and ``overrides``.
    """
    return (
        RunSample.objects.using(using)
        .filter(run=run)
        .annotate(
            kept=_yes(KEPT),
            source=_source(),
            reason=_reason(),
            action=Coalesce("decision__action", Value("")),
            overrides=_overrides(),
        )
    )


def selected_rows(run: Run, *, using: str = DEFAULT_DB_ALIAS) -> QuerySet[RunSample, Any]:
    """The same in the order of the dataset, with what counts for each.

    Annotated further are ``by``, ``sentence`` and the three texts of the pair as
    ``pair_instruction`` and so on.
    """
    texts = {
        f"pair_{name}": of_choice(name, F(f"sample__{name}"))
        for name in ("instruction", "input", "response")
    }
    return (
        outcome_rows(run, using=using)
        .annotate(
            by=Coalesce(
                "decision__user__username",
                Case(When(verdict__kept__isnull=False, then=Value("verdict")), default=Value("")),
            ),
            sentence=Coalesce(
                NullIf("verdict__sentence", Value("")), "verdict__instruction_sentence", Value("")
            ),
            **texts,
        )
        .order_by("position")
    )


def with_scores(rows: QuerySet[RunSample, Any]) -> QuerySet[RunSample, Any]:
    """Annotated further with ``ifd_before``, ``r_ifd_before``, ``ifd_after``, ``r_ifd_after``."""
    rows = rows.annotate(first=FilteredRelation("scores", condition=Q(scores__candidate=None)))
    signals = ("ifd", "r_ifd")
    return rows.annotate(
        **{f"{name}_before": F(f"first__{name}") for name in signals},
        **{f"{name}_after": of_choice(f"score__{name}", F(f"first__{name}")) for name in signals},
    )


def of_choice(name: str, of_original: F | Value) -> Case:
    """A column of the rewrite that counts, or of the original where that counts."""
    return _by_choice(f"verdict__chosen__{name}", f"decision__candidate__{name}", of_original)


def _by_choice(of_verdict: str | Case, of_person: str, of_original: F | Value) -> Case:
    """What is true of the rewrite that the verdict chose, or a person, or of the original."""
    return Case(
        When(_TEXT_OF_VERDICT & Q(verdict__chosen__isnull=False), then=of_verdict),
        When(decision__action__in=_REWRITES, then=of_person),
        default=of_original,
    )


def _yes(condition: Q) -> Case:
    return Case(When(condition, then=True), default=False, output_field=BooleanField())


def _source() -> Case:
    """Which rewrite a verdict chose follows from what it says of both: to read its row, for all
    the texts that lie between, takes twice as long as the rest of a count."""
    kind = Case(
        When(verdict__response_winner=Side.CANDIDATE, then=Value(Candidate.Kind.RESPONSE)),
        default=Value(Candidate.Kind.INSTRUCTION),
    )
    return _by_choice(kind, "decision__candidate__kind", Value(ORIGINAL))


def _reason() -> Case:
    """Why a pair is not kept."""
    return Case(
        When(KEPT, then=Value("")),
        When(decision__action=Action.DROP, then=Value(DROPPED_BY_HAND)),
        When(state=State.FAILED, then=Value(FAILED)),
        When(~Q(state=State.DONE) | Q(verdict=None), then=Value(UNFINISHED)),
        default=Coalesce(NullIf("verdict__code", Value("")), Value("not_kept")),
        output_field=CharField(),
    )


def _overrides() -> Case:
    return _yes(
        (Q(decision__action=Action.DROP) & _STUDENT_KEEPS)
        | (_BY_HAND & (~_STUDENT_KEEPS | ~_SAME_CHOICE))
    )


TEXT_COLUMNS = (
    *("pk", "position", "sample__line", "sample__part", "sample__content_hash"),
    *("pair_instruction", "pair_input", "pair_response"),
    *("sample__context", "sample__extra", "sample__layout"),
)
PAIR_COLUMNS = (
    *TEXT_COLUMNS,
    *("source", "reason", "action", "by", "sentence", "kept", "overrides"),
)
_UNTOLD = ("", "", "", "", "", True, False)  # in the place of the latter
_STORED = ("extra", "layout", "context")
SCORE_COLUMNS = ("ifd_before", "r_ifd_before", "ifd_after", "r_ifd_after")


def effective_pairs(
    run: Run, *, include: str = "kept", scores: bool = False, using: str = DEFAULT_DB_ALIAS
) -> Iterator[SelectedPair]:
    """The selection of ``run`` in the order of its dataset.

    ``include`` is ``kept`` or ``all``; with ``all`` the others carry the reason why they are not.
    """
    if include not in {"kept", "all"}:
        raise ValueError(f"include is 'kept' or 'all', not {include!r}")
    rows = selected_rows(run, using=using)
    yield from read_pairs(rows.filter(KEPT) if include == "kept" else rows, scores=scores)


def read_pairs(
    rows: QuerySet[RunSample, Any],
    *,
    scores: bool = False,
    more: Sequence[str] = (),
    texts_alone: bool = False,
) -> Iterator[SelectedPair]:
    """Stream ``selected_rows``, filtered as one likes, in constant memory.

    ``more`` are further columns, of the model or annotated. With ``texts_alone`` nothing is told of
    why and by whom a pair was chosen, which takes the database half as long.
    """
    if texts_alone and not scores and not more:
        for row in stream(rows.values_list(*TEXT_COLUMNS)):
            yield SelectedPair._make((*row, *_UNTOLD, (), ()))
        return
    columns = (*PAIR_COLUMNS, *(SCORE_COLUMNS if scores else ()), *more)
    texts = len(PAIR_COLUMNS) - 2
    further = texts + 2 + (len(SCORE_COLUMNS) if scores else 0)
    rows = with_scores(rows) if scores else rows
    for row in stream(rows.values_list(*columns)):
        yield SelectedPair._make(
            (
                *row[:texts],
                bool(row[texts]),
                bool(row[texts + 1]),
                row[texts + 2 : further],
                row[further:],
            )
        )


def texts_of_pairs(rows: QuerySet[RunSample, Any]) -> QuerySet[RunSample, Any]:
    """Of ``selected_rows`` no more than what a record is made of, for ``chunks_alone``.

    Position, instruction, input, response, and the JSON texts of extra, layout and context.
    """
    texts = ("pair_instruction", "pair_input", "pair_response")
    return rows.values_list("position", *texts, *(f"sample__{name}" for name in _STORED))


def texts_of_samples(dataset: Dataset, *, using: str) -> QuerySet[Sample, Any]:
    """The same of a dataset as it came."""
    samples = Sample.objects.using(using).filter(dataset=dataset).order_by("position")
    return samples.values_list("position", "instruction", "input", "response", *_STORED)


def imported_pairs(dataset: Dataset, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[SelectedPair]:
    """The pairs of a dataset as they came, without a run."""
    samples = Sample.objects.using(using).filter(dataset=dataset)
    yield from _imported(samples.order_by("position"))


def imported_pair(samples: QuerySet[Sample, Any]) -> SelectedPair:
    """The first of ``samples``. Raises StopIteration where there is none."""
    return next(_imported(samples[:1]))


def _imported(samples: QuerySet[Sample, Any]) -> Iterator[SelectedPair]:
    texts = ("instruction", "input", "response", "context", "extra", "layout")
    for row in stream(samples.values_list("position", "line", "part", "content_hash", *texts)):
        yield SelectedPair._make((0, *row, ORIGINAL, "", "", "", "", True, False, (), ()))
