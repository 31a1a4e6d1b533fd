"""From the pairs of a run, or of a dataset, to the records of a file: in order, one by one."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from refinement.formats.registry import shape_of
from refinement.formats.shape import EVERY, LAST, Parts
from refinement.formats.writing.targets import with_further_fields
from refinement.method.pairs import Pair
from refinement.models import KeptRecord, Sample
from refinement.selectors.export_filter import matching
from refinement.selectors.export_preview import (
    SelectionCounts,
    count_selection,
    count_unscorable,
    mean_figures,
)
from refinement.selectors.preference import BEATEN_COLUMNS, beaten_response, with_beaten
from refinement.selectors.selection import (
    DROPPED_BY_HAND,
    KEPT,
    SelectedPair,
    imported_pair,
    imported_pairs,
    layout,
    outcome_rows,
    read_pairs,
    selected_rows,
    texts_of_pairs,
    texts_of_samples,
    turns,
)
from refinement.selectors.streams import CHUNK, chunks_alone
from refinement.services.export_columns import SRT_FIELD, about
from refinement.services.export_sieve import Cut, Seen, goes_to_validation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import QuerySet

    from refinement.models import Dataset, Run, RunSample
    from refinement.services.export_options import ExportOptions

DUPLICATE, BELOW_CUT, UNSAYABLE, NO_REJECTED, AS_IS = (
    *("duplicate", "below_the_cut", "not_of_this_shape", "beat_nothing", "kept_as_is"),
)
TEXTS = ("sample__instruction", "sample__input", "sample__response")


@dataclass(slots=True)
class Leaving:
    """One record that leaves, and the file it goes to."""

    record: dict[str, Any]
    validation: bool


@dataclass
class ExportStream:
    """What leaves of ``run``, or of ``dataset`` where there is no run, under ``options``.

    ``records`` may be read once; then ``left_out`` counts why selected pairs did not leave, and
    ``example`` says where the first was that the shape cannot hold. ``using``: a snapshot.
    """

    dataset: Dataset
    run: Run | None
    options: ExportOptions
    using: str
    left_out: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def __post_init__(self) -> None:
        turns = self.dataset.options.get("turns", LAST)
        self._shape = shape_of(self.dataset.format or "alpaca", self.dataset.mapping, turns=turns)
        self._in_parts = turns == EVERY
        self._chat: tuple[int, dict[str, Any]] = (-1, {})  # where it begins, its further fields
        self._together = self._in_parts and self.options.target is None
        self._scored = bool(self.options.top_percent) or "scores" in self.options.columns

    # -- What ---------------------------------------------------------------------------------
    def counts(self) -> SelectionCounts:
        """Of all pairs that the filter leaves, kept or not. Without a run all are kept."""
        if self.run is None:
            total = self.dataset.samples.using(self.using).count()
            return SelectionCounts(total=total, kept=total, sources=Counter(original=total))
        return count_selection(self._outcomes(self.run))

    def means(self) -> dict[str, float | None]:
        """Over the kept pairs; without a run there are none."""
        return mean_figures(self._outcomes(self.run)) if self.run else {}

    def unscorable(self) -> dict[str, int]:
        """How many originals and rewrites the student could not score."""
        if self.run is None:
            return {}
        return count_unscorable(self._narrowed(self.run.run_samples.using(self.using)))

    def _outcomes(self, run: Run) -> QuerySet[RunSample, Any]:
        return self._narrowed(outcome_rows(run, using=self.using))

    def _narrowed(self, rows: QuerySet[RunSample, Any]) -> QuerySet[RunSample, Any]:
        queue = self.options.queue
        return rows.filter(*matching(self.run, queue)) if self.run and queue else rows

    def _chosen(self, run: Run) -> QuerySet[RunSample, Any]:
        rows = self._narrowed(selected_rows(run, using=self.using))
        return rows.filter(KEPT) if self.options.include == "kept" else rows

    def _pairs(self, *, scored: bool) -> Iterator[SelectedPair]:
        """The selection, before anything is left out of it."""
        if self.run is None:
            return imported_pairs(self.dataset, using=self.using)
        rows = self._chosen(self.run)
        more: tuple[str, ...] = ()
        if self.options.preference:
            rows, more = with_beaten(rows), BEATEN_COLUMNS
        told = bool(self.options.columns) or self._together
        return read_pairs(rows, scores=scored, more=more, texts_alone=not told)

    def pairs(self) -> Iterator[SelectedPair]:
        """Those that leave."""
        with ExitStack() as scratch:
            cut = scratch.enter_context(self._cut()) if self.options.top_percent else None
            found = self._distinct(self._pairs(scored=self._scored), scratch)
            if cut is None:
                yield from found
                return
            for pair in found:
                if cut.keeps(pair):
                    yield pair
                else:
                    self.left_out[BELOW_CUT] += 1

    def _cut(self) -> Cut:
        """A first look at all pairs, for where the cut lies."""
        cut = Cut(by=self.options.top_by, percent=self.options.top_percent or 0)
        before = self.left_out.copy()
        with ExitStack() as scratch:
            cut.add(self._distinct(self._pairs(scored=True), scratch))
        cut.decide()
        self.left_out = before
        return cut

    def _distinct(
        self, pairs: Iterator[SelectedPair], scratch: ExitStack
    ) -> Iterator[SelectedPair]:
        if not self.options.deduplicate:
            return pairs
        seen = scratch.enter_context(Seen())
        return self._new(pairs, seen)

    def _new(self, pairs: Iterator[SelectedPair], seen: Seen) -> Iterator[SelectedPair]:
        for pair in pairs:
            if seen.is_new(pair):
                yield pair
            else:
                self.left_out[DUPLICATE] += 1

    # -- As records -----------------------------------------------------------------------------
    def batches(self) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
        """A lot at a time: records for the training file, and for the validation file."""
        if self._is_plain():
            yield from ((records, []) for records in self._plain())
            return
        records = self.records()
        while lot := list(islice(records, CHUNK)):
            sides: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
            for leaving in lot:
                sides[leaving.validation].append(leaving.record)
            yield sides

    def _is_plain(self) -> bool:
        """Whether nothing is asked of a pair but the record that it came as."""
        asked = self.options
        of_more = asked.target or asked.columns or asked.deduplicate or asked.top_percent
        kept_records = self.dataset.kept_count
        return not (of_more or asked.validation_percent or self._in_parts or kept_records)

    def _plain(self) -> Iterator[list[dict[str, Any]]]:
        """As ``records``, with no object for each pair: half the time."""
        if self.run is None:
            rows: QuerySet[Any, Any] = texts_of_samples(self.dataset, using=self.using)
        else:
            rows = texts_of_pairs(self._chosen(self.run))
        for chunk in chunks_alone(rows):
            yield [record for row in chunk if (record := self._plain_record(*row)) is not None]

    def _plain_record(
        self,
        position: int,
        instruction: str,
        input_: str,
        response: str,
        extra: str,
        layout_: str,
        context: str,
    ) -> dict[str, Any] | None:
        if layout_ == context == "[]" and extra == "{}":  # Alpaca's, as nearly all are
            return {"instruction": instruction, "input": input_, "output": response}
        pair = Pair(instruction, response, input_, turns(context))
        try:
            return self._shape.write([Parts(pair, json.loads(extra), layout(layout_), 0)])
        except ValueError as error:
            self._note_unsayable(position, error)
            return None

    def _note_unsayable(self, position: int, error: ValueError) -> None:
        self.left_out[UNSAYABLE] += 1
        self.example = self.example or f"pair {position + 1}: {error}"

    def records(self) -> Iterator[Leaving]:
        """In the order of the dataset."""
        made = self._conversations() if self._together else map(self._one, self.pairs())
        ours = ((at, leaving) for at, leaving in made if leaving is not None)
        yield from (leaving for _, leaving in self._with_kept_records(ours))

    def _one(self, pair: SelectedPair) -> tuple[int, Leaving | None]:
        return pair.position, self._leaving(pair, [pair])

    def _conversations(self) -> Iterator[tuple[int, Leaving | None]]:
        """Every answer of a chat is a pair; here they become their chat again.

        It leaves if any of its pairs does and no person dropped one of them. The others stay as
        they were imported.
        """
        wanted = self.pairs()
        ahead = next(wanted, None)
        for at, group in groupby(self._all_parts(), key=lambda part: part.position - part.part):
            parts, any_wanted = [], False
            for part in group:
                leaves = ahead is not None and ahead.position == part.position
                parts.append(part if leaves else _as_imported(part))
                if leaves:
                    any_wanted, ahead = True, next(wanted, None)
            if any_wanted and not any(part.reason == DROPPED_BY_HAND for part in parts):
                yield at, self._leaving(parts[0], parts)

    def _all_parts(self) -> Iterator[SelectedPair]:
        if self.run is None:
            return imported_pairs(self.dataset, using=self.using)
        rows = selected_rows(self.run, using=self.using)
        return read_pairs(rows, scores=self._scored, more=TEXTS)

    def _with_kept_records(
        self, ours: Iterable[tuple[int, Leaving]]
    ) -> Iterable[tuple[int, Leaving]]:
        """Records that held nothing to refine, each in its place among the others."""
        options = self.options
        count = self.dataset.kept_count
        if not count:
            return ours
        narrowed = options.top_percent or options.queue
        if options.target is not None or not options.kept_as_is or narrowed:
            self.left_out[AS_IS] += count
            return ours
        kept = KeptRecord.objects.using(self.using).filter(dataset=self.dataset)
        rows = kept.order_by("position").values_list("position", "record").iterator(1000)
        theirs = ((at, self._kept_record(at, record)) for at, record in rows)
        return heapq.merge(ours, theirs, key=lambda placed: placed[0])

    def _kept_record(self, position: int, record: dict[str, Any]) -> Leaving:
        return Leaving(record, self._validates(f"{self.dataset.sha256}:{position}"))

    def _validates(self, content_hash: str) -> bool:
        return goes_to_validation(
            content_hash, percent=self.options.validation_percent, seed=self.options.seed
        )

    def _leaving(self, first: SelectedPair, parts: list[SelectedPair]) -> Leaving | None:
        try:
            record = self._record(first, parts)
        except ValueError as error:
            self._note_unsayable(first.position, error)
            return None
        if record is None:
            self.left_out[NO_REJECTED] += 1
            return None
        if self.options.columns:
            record[SRT_FIELD] = about(first, self.run, self.options.columns)
        if not self.options.validation_percent:
            return Leaving(record, validation=False)
        # All answers of one chat go to the same file.
        own = f"{self.dataset.sha256}:{first.line}" if self._in_parts else first.content_hash
        return Leaving(record, self._validates(own))

    def _record(self, first: SelectedPair, parts: list[SelectedPair]) -> dict[str, Any] | None:
        target = self.options.target
        if target is None:
            return self._shape.write([_as_parts(part) for part in parts])
        rejected = beaten_response(first) if target.preference else ""
        if rejected is None:
            return None
        record = target.write(first.pair, rejected)
        return with_further_fields(record, self._others(first))

    def _others(self, pair: SelectedPair) -> dict[str, Any]:
        """The record's further fields. Of a chat in parts, only the first part carries them."""
        if not pair.part:
            return self._shape.others(_as_parts(pair)) if pair.extra_json != "{}" else {}
        start = pair.position - pair.part
        if self._chat[0] != start:
            samples = Sample.objects.using(self.using).filter(dataset=self.dataset, position=start)
            first = imported_pair(samples)
            self._chat = (start, self._shape.others(_as_parts(first)))
        return self._chat[1]


def _as_parts(pair: SelectedPair) -> Parts:
    return Parts(pair.pair, pair.extra, pair.layout, pair.part)


def _as_imported(part: SelectedPair) -> SelectedPair:
    if not part.more:
        return part
    instruction, input_, response = part.more
    return part._replace(instruction=instruction, input=input_, response=response)
