"""A run's scores and decisions as arrays, for pictures and what-ifs.

Kept in the memory of the web process and brought up to date before each use: scores never change,
so only those behind the last are read, and decisions only where somebody decided since. A run of
100,000 samples takes about 30 MB and is read once in a second or two.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import connection
from django.db.models import Case, IntegerField, Max, Q, Value, When

from refinement.method.policies.columns import INSTRUCTION, ORIGINAL, RESPONSE, Columns
from refinement.method.policies.signals import STORED
from refinement.models import Candidate, Decision, Embedding, Run, RunSample, Score
from refinement.selectors.ids import by_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet
    from numpy.typing import NDArray

    from refinement.method.policies.columns import Outcome
    from refinement.method.specs import PolicySpec

    Floats = NDArray[np.float64]

RUNS_IN_MEMORY = 4
# Ids are given before they are committed: on PostgreSQL a smaller one may still appear. So many are
# read again each time; and all of them once the run has ended.
OVERLAP = 5_000

ID, SAMPLE, POSITION, VERSION, OF_INSTRUCTION = range(5)
FIXED = 5
EDITED = 3  # a version of people alone


@dataclass(frozen=True, slots=True)
class Said:
    """What people decided, over the same rows as the columns. ``decided`` is false elsewhere.

    ``version`` is what they chose to keep; of an accepted verdict it is the verdict's.
    """

    decided: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    version: NDArray[np.uint8]
    accepted: NDArray[np.bool_]  # they let the verdict stand
    user_id: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RunTable:
    """The samples of a run that are scored to the end, in the order of the dataset."""

    ids: NDArray[np.int64]  # of the run samples
    positions: NDArray[np.int64]
    columns: Columns
    said: Said
    seen: tuple[Any, ...]  # what it was made from: equal if nothing has changed
    outcomes: dict[PolicySpec, Outcome] = field(default_factory=dict)  # what was evaluated on it

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    rows: Floats | None = None  # one per score: the FIXED columns, then STORED
    state: tuple[int, str, int] = (-1, "", 0)
    last_decision: int = 0
    said: dict[int, tuple[bool, int, bool, int]] = field(default_factory=dict)
    table: RunTable | None = None


_entries: OrderedDict[int, _Entry] = OrderedDict()
_entries_lock = threading.Lock()


def run_table(run: Run) -> RunTable:
    """The run's table as of now."""
    with _entries_lock:
        entry = _entries.setdefault(run.pk, _Entry())
        _entries.move_to_end(run.pk)
        while len(_entries) > RUNS_IN_MEMORY:
            _entries.popitem(last=False)
    with entry.lock:
        return _up_to_date(run, entry)


def table_of(pairs: Sequence[int]) -> RunTable:
    """Of some run samples alone, without what people said of them: read anew, and not kept."""
    rows = Score.objects.filter(by_ids(pairs, "run_sample"))
    return _table(_fetch(rows.exclude(candidate__kind=Candidate.Kind.EDIT)), {}, seen=())


def forget_tables() -> None:
    """Drop all that is in memory: for tests, whose databases use the same ids again."""
    with _entries_lock:
        _entries.clear()


def _up_to_date(run: Run, entry: _Entry) -> RunTable:
    pairs, status = Run.objects.values_list("scored_pairs", "status").get(pk=run.pk)
    measured = Embedding.objects.aggregate(last=Max("pk"))["last"] or 0  # coherence came or changed
    state = (pairs, status, measured)
    last = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
    stale = entry.rows is None or state != entry.state
    if stale:
        # Read whole at first, and once more at the end.
        whole = entry.rows is None or state[1:] != entry.state[1:]
        entry.rows = _scores(run, None if whole else entry.rows)
        entry.state = state
    decided = last != entry.last_decision
    if decided:
        _read_decisions(run, entry, last)
    if entry.table is None or stale or decided:
        assert entry.rows is not None  # noqa: S101 - read above
        entry.table = _table(entry.rows, entry.said, seen=(*state, last))
    return entry.table


# -- Reading --------------------------------------------------------------------------------------
def _scores(run: Run, known: Floats | None) -> Floats:
    rows = Score.objects.filter(run_sample__run=run).exclude(candidate__kind=Candidate.Kind.EDIT)
    if known is None or not len(known):
        return _fetch(rows)
    after = known[:, ID].max() - OVERLAP
    fresh = _fetch(rows.filter(pk__gt=int(after)))
    return np.concatenate([known[known[:, ID] <= after], fresh])


def _fetch(scores: QuerySet[Score]) -> Floats:
    """Straight from the cursor: Django's rows would take three times as long."""
    number = IntegerField()
    selected = (
        scores.order_by()
        .annotate(
            version=Case(
                When(candidate__kind=Candidate.Kind.INSTRUCTION, then=Value(INSTRUCTION)),
                When(candidate__kind=Candidate.Kind.RESPONSE, then=Value(RESPONSE)),
                default=Value(ORIGINAL),
                output_field=number,
            ),
            of_instruction=Case(
                When(Q(candidate__parent__isnull=False), then=Value(1)),
                default=Value(0),
                output_field=number,
            ),
        )
        .values_list(
            "pk", "run_sample_id", "run_sample__position", "version", "of_instruction", *STORED
        )
    )
    sql, parameters = selected.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    found: Floats = np.array(rows, dtype=np.float64).reshape(-1, FIXED + len(STORED))
    return found


def _read_decisions(run: Run, entry: _Entry, last: int) -> None:
    """The decisions that count now, of the samples that somebody touched since."""
    rows = RunSample.objects.filter(run=run)
    if entry.last_decision:
        touched = Decision.objects.filter(run=run, pk__gt=entry.last_decision - OVERLAP)
        rows = rows.filter(pk__in=touched.values("run_sample_id"))
    else:
        rows = rows.filter(decision__isnull=False)
    for pk, action, kind, user_id, kept, chosen in rows.values_list(
        "pk",
        "decision__action",
        "decision__candidate__kind",
        "decision__user_id",
        "verdict__kept",
        "verdict__chosen__kind",
    ):
        entry.said.pop(pk, None)
        if action is not None:
            entry.said[pk] = _word(action, kind, user_id, kept=bool(kept), chosen=chosen)
    entry.last_decision = last


_VERSIONS = {None: ORIGINAL, "instruction": INSTRUCTION, "response": RESPONSE, "edit": EDITED}


def _word(
    action: str, kind: str | None, user_id: int, *, kept: bool, chosen: str | None
) -> tuple[bool, int, bool, int]:
    """Kept, version, accepted, by whom."""
    match action:
        case Decision.Action.ACCEPT:
            return kept, _VERSIONS[chosen], True, user_id
        case Decision.Action.DROP:
            return False, _VERSIONS[chosen], False, user_id
        case Decision.Action.ORIGINAL:
            return True, ORIGINAL, False, user_id
    return True, _VERSIONS[kind], False, user_id


# -- Arranging ------------------------------------------------------------------------------------
def _table(
    rows: Floats, said: dict[int, tuple[bool, int, bool, int]], *, seen: tuple[Any, ...]
) -> RunTable:
    by_version = [
        rows[rows[:, VERSION] == version] for version in (ORIGINAL, INSTRUCTION, RESPONSE)
    ]
    last = by_version[RESPONSE]
    last = last[np.argsort(last[:, POSITION], kind="stable")]
    ids = last[:, SAMPLE].astype(np.int64)
    placed = [_placed(part, ids) for part in (by_version[0], by_version[1], last)]
    columns = Columns(
        keys=last[:, POSITION].astype(np.uint64),
        versions=(_named(placed[0]), _named(placed[1]), _named(placed[2])),
        has_instruction=~np.isnan(placed[1][:, ID]),
        has_response=np.ones(len(ids), dtype=np.bool_),
        response_of_instruction=last[:, OF_INSTRUCTION] == 1,
    )
    return RunTable(
        ids=ids,
        positions=last[:, POSITION].astype(np.int64),
        columns=columns,
        said=_said(ids, said),
        seen=seen,
    )


def _placed(part: Floats, ids: NDArray[np.int64]) -> Floats:
    """The rows of one version, each in the place of its sample; NaN where there is none."""
    placed = np.full((len(ids), part.shape[1]), np.nan)
    if not len(ids):
        return placed
    order = np.argsort(ids)
    samples = part[:, SAMPLE].astype(np.int64)
    place = order[np.minimum(np.searchsorted(ids, samples, sorter=order), len(ids) - 1)]
    fits = ids[place] == samples
    placed[place[fits]] = part[fits]
    return placed


def _named(placed: Floats) -> dict[str, Floats]:
    return {
        name: np.ascontiguousarray(placed[:, FIXED + number]) for number, name in enumerate(STORED)
    }


def _said(ids: NDArray[np.int64], words: dict[int, tuple[bool, int, bool, int]]) -> Said:
    n = len(ids)
    found = Said(
        decided=np.zeros(n, dtype=np.bool_),
        kept=np.zeros(n, dtype=np.bool_),
        version=np.zeros(n, dtype=np.uint8),
        accepted=np.zeros(n, dtype=np.bool_),
        user_id=np.zeros(n, dtype=np.int64),
    )
    if not words or not n:
        return found
    order = np.argsort(ids)
    samples = np.fromiter(words, dtype=np.int64, count=len(words))
    values = np.array(list(words.values()), dtype=np.int64)
    where = np.minimum(np.searchsorted(ids, samples, sorter=order), n - 1)
    fits = ids[order[where]] == samples
    place = order[where[fits]]
    found.decided[place] = True
    found.kept[place] = values[fits, 0] == 1
    found.version[place] = values[fits, 1]
    found.accepted[place] = values[fits, 2] == 1
    found.user_id[place] = values[fits, 3]
    return found
