"""Reading a stored file into samples: the worker's part of an import.

What is read and what was counted go into the database together, a batch at a time, so an import may
be killed at any moment: the next worker that holds the lease reads up to where the counts say,
writes nothing of that again, and goes on. Until a dataset is ``ready`` its samples count for
nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from refinement.formats.files import open_values
from refinement.formats.registry import (
    FormatError,
    Kept,
    Record,
    Rejected,
    detect,
    read_raw,
    shape_of,
)
from refinement.formats.shape import LAST
from refinement.formats.survey import Survey
from refinement.models import Dataset, GivenRewrite, KeptRecord, RejectedRow, Sample
from refinement.services.bulk import delete_rows, insert_rows
from refinement.services.leases import Lease, LeaseLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.method.pairs import Pair

    Items = list[Record | Kept | Rejected]

logger = logging.getLogger(__name__)

# A transaction takes so many records, or fewer if they are long: what is read is held in memory.
BATCH_RECORDS = 1000
BATCH_BYTES = 4 * 1024**2
MAX_DEATHS = 3  # workers that may die at one place of a file before it is given up

_SAMPLE_COLUMNS = (
    "dataset_id",
    "position",
    "line",
    "instruction",
    "input",
    "response",
    "part",
    "context",
    "extra",
    "layout",
    "content_hash",
)
_REWRITE_COLUMNS = (
    "dataset_id",
    "position",
    "kind",
    "instruction",
    "input",
    "response",
    "criticism",
)


def import_dataset(*, dataset_id: int) -> None:
    """Read the stored file; the worker's task.

    Ends in ``ready``, in ``failed`` with a sentence and without a sample, or for a dry run in
    ``draft``. Does nothing while another worker holds the lease, or once the import has ended.
    """
    lease = Lease.claim(
        Dataset, dataset_id, waiting=Dataset.Status.PENDING, working=Dataset.Status.IMPORTING
    )
    if lease is None:
        logger.info("dataset %d: imported already, or by another worker", dataset_id)
        return
    try:
        lease.renew(attempts=F("attempts") + 1)
        Import(Dataset.objects.get(pk=dataset_id), lease).run()
    except LeaseLost:
        logger.warning("dataset %d: cancelled, or taken over by another worker", dataset_id)


class Import:
    """One try at one file."""

    def __init__(self, dataset: Dataset, lease: Lease) -> None:
        self._dataset = dataset
        self._lease = lease
        self._path = Path(dataset.file.path)
        self._done = dataset.record_count  # records whose fate is in the database
        self._samples = dataset.sample_count
        self._kept = dataset.kept_count
        self._rejected = dataset.rejected_count
        self._skipped = dataset.skipped_count
        self._survey = Survey()
        self._duplicates = dataset.options.get("duplicates", "keep")
        self._all_or_nothing = dataset.options.get("bad") == "refuse"

    def run(self) -> None:
        try:
            if self._dataset.attempts > MAX_DEATHS:
                self._fail(_deaths(self._done))
                return
            self._find_out()
            self._read()
        except FormatError as error:
            self._fail(str(error))
        except FileNotFoundError:
            self._fail("The stored file is gone. Upload it again.")
        except OSError as error:
            self._fail(f"The stored file cannot be read ({error.strerror}). Upload it again.")
        else:
            self._end()

    def _find_out(self) -> None:
        """What the user left open: the format and mapping, and the hash of the file."""
        changes: dict[str, Any] = {}
        if not self._dataset.format:
            changes["format"], changes["mapping"] = detect(
                self._path,
                mapping=self._dataset.mapping,
                record_limit=settings.RECORD_LIMIT_BYTES,
            )
        if not self._dataset.sha256:
            changes["sha256"] = self._hash()
        if changes:
            self._lease.renew(**changes)
            for name, value in changes.items():
                setattr(self._dataset, name, value)

    def _hash(self) -> str:
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while data := file.read(4 * 1024**2):
                digest.update(data)
                self._keep_lease()
        return digest.hexdigest()

    # -- Reading ----------------------------------------------------------------------------------
    def _read(self) -> None:
        skip: set[int] | None = None
        if self._duplicates != "keep":
            for batch in self._batches():
                self._look_at(batch)
                self._keep_lease()
            repeated = self._survey.duplicates(near=self._duplicates == "near")
            skip = set(repeated.nonzero()[0].tolist())
        pairs = records = 0
        already = self._done
        for batch in self._batches():
            if skip is None:
                self._look_at(batch)
            fresh = _behind(batch, already - records)
            records += _count_records(batch)
            pairs += _count_pairs(batch)
            if fresh:
                self._save(fresh, skip, pairs - _count_pairs(fresh))
            else:
                self._keep_lease()

    def _look_at(self, batch: Items) -> None:
        for item in batch:
            self._survey.add(item)

    def _batches(self) -> Iterator[Items]:
        """All records, whole ones in each batch."""
        shape = shape_of(
            self._dataset.format,
            self._dataset.mapping,
            turns=self._dataset.options.get("turns", LAST),
        )
        batch: Items = []
        begin = records = 0
        with open_values(
            self._path,
            record_limit=settings.RECORD_LIMIT_BYTES,
            size_limit=settings.UPLOAD_LIMIT_BYTES,
        ) as (container, values):
            self._dataset.container = container
            for raw in values:
                batch += read_raw(shape, raw)
                records += 1
                if records == BATCH_RECORDS or raw.read_bytes - begin >= BATCH_BYTES:
                    yield batch
                    batch, begin, records = [], raw.read_bytes, 0
        if batch:
            yield batch

    def _keep_lease(self) -> None:
        if self._lease.nearly_over():
            self._lease.renew()

    # -- Writing ----------------------------------------------------------------------------------
    def _save(self, batch: Items, skip: set[int] | None, first_pair: int) -> None:
        rows = _Rows(self._dataset.pk, self._samples + self._kept)
        rows.sort(batch, skip or (), first_pair)
        with transaction.atomic():
            self._lease.renew(
                attempts=0,
                read_bytes=batch[-1].read_bytes,
                record_count=self._done + _count_records(batch),
                sample_count=self._samples + rows.sample_count,
                kept_count=self._kept + rows.kept_count,
                rejected_count=self._rejected + len(rows.rejected),
                skipped_count=self._skipped + rows.skipped,
            )
            rows.insert(dry_run=self._dataset.dry_run)
        self._done += _count_records(batch)
        self._samples += rows.sample_count
        self._kept += rows.kept_count
        self._rejected += len(rows.rejected)
        self._skipped += rows.skipped

    # -- Ending -----------------------------------------------------------------------------------
    def _end(self) -> None:
        profile = self._survey.figures()
        if self._dataset.dry_run:
            self._finish(Dataset.Status.DRAFT, profile)
        elif self._all_or_nothing and self._rejected:
            self._fail(
                f"{self._rejected:,} of the {self._done:,} records cannot be used, and you asked "
                "for all or nothing. Mend them, or import the good ones alone.",
                profile,
            )
        elif not self._samples and not self._kept:
            self._fail(self._why_nothing(), profile)
        else:
            self._finish(Dataset.Status.READY, profile)

    def _finish(self, status: str, profile: dict[str, Any]) -> None:
        self._lease.finish(
            status=status,
            error="",
            container=self._dataset.container,
            read_bytes=self._dataset.size_bytes,
            profile=profile,
            attempts=0,
        )

    def _why_nothing(self) -> str:
        first = self._dataset.rejected_rows.first()
        if first is None:
            return "The file holds no records."
        return (
            f"None of the {self._rejected:,} records can be used. "
            f"The first: line {first.line}, {first.reason}."
        )

    def _fail(self, sentence: str, profile: dict[str, Any] | None = None) -> None:
        """End without a sample. The rejected rows stay: they help to mend the file."""
        with transaction.atomic():
            self._lease.finish(
                status=Dataset.Status.FAILED,
                error=sentence,
                sample_count=0,
                kept_count=0,
                skipped_count=0,
                attempts=0,
                profile=profile or {},
            )
            delete_rows(self._dataset, Sample, KeptRecord, GivenRewrite)


class _Rows:
    """What a batch becomes in the tables. ``position`` is that of its first sample."""

    def __init__(self, dataset_id: int, position: int) -> None:
        self._dataset_id = dataset_id
        self._position = position
        self.samples: list[tuple[Any, ...]] = []
        self.kept: list[tuple[Any, ...]] = []
        self.rewrites: list[tuple[Any, ...]] = []
        self.rejected: list[tuple[Any, ...]] = []
        self.skipped = 0

    @property
    def sample_count(self) -> int:
        return len(self.samples)

    @property
    def kept_count(self) -> int:
        return len(self.kept)

    def sort(self, batch: Items, skip: Any, pair: int) -> None:
        """Each item to its table; pairs whose number is in ``skip`` are left out."""
        whole: list[Record] = []  # the parts of the present record
        for item in batch:
            if type(item) is Record:
                whole.append(item)
                if item.ends:
                    numbers = range(pair, pair + len(whole))
                    pair += len(whole)
                    if skip and all(number in skip for number in numbers):
                        self.skipped += 1
                    else:
                        self._add_samples(whole)
                    whole = []
            elif type(item) is Kept:
                self._add_kept(item)
            elif type(item) is Rejected:
                self.rejected.append(
                    (self._dataset_id, item.line, item.field, item.reason, item.excerpt)
                )

    def _add_samples(self, parts: list[Record]) -> None:
        for record in parts:
            pair = record.pair
            self.samples.append(
                (
                    self._dataset_id,
                    self._position,
                    record.line,
                    pair.instruction,
                    pair.input,
                    pair.response,
                    record.part,
                    _context(pair) if pair.context else "[]",
                    _json(record.extra) if record.extra else "{}",
                    _json(record.layout) if record.layout else "[]",
                    content_hash(pair),
                )
            )
            for rewrite in record.rewrites:
                self.rewrites.append(
                    (
                        self._dataset_id,
                        self._position,
                        rewrite.kind,
                        rewrite.instruction,
                        rewrite.input,
                        rewrite.response,
                        rewrite.criticism,
                    )
                )
            self._position += 1

    def _add_kept(self, kept: Kept) -> None:
        self.kept.append(
            (self._dataset_id, self._position, kept.line, kept.reason, _json(kept.record))
        )
        self._position += 1

    def insert(self, *, dry_run: bool) -> None:
        if self.rejected:
            columns = ("dataset_id", "line", "field", "reason", "excerpt")
            insert_rows(RejectedRow, columns, self.rejected)
        if dry_run:
            return
        if self.samples:
            insert_rows(Sample, _SAMPLE_COLUMNS, self.samples)
        if self.kept:
            columns = ("dataset_id", "position", "line", "reason", "record")
            insert_rows(KeptRecord, columns, self.kept)
        if self.rewrites:
            insert_rows(GivenRewrite, _REWRITE_COLUMNS, self.rewrites)


def _count_records(batch: Items) -> int:
    return sum(item.ends if type(item) is Record else 1 for item in batch)


def _count_pairs(batch: Items) -> int:
    return sum(type(item) is Record for item in batch)


def _behind(batch: Items, records: int) -> Items:
    """The batch without its first ``records``, which are in the database already."""
    for number, item in enumerate(batch):
        if records <= 0:
            return batch[number:]
        records -= item.ends if type(item) is Record else 1
    return []


def _context(pair: Pair) -> str:
    return _json([{"role": turn.role, "content": turn.content} for turn in pair.context])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _deaths(records: int) -> str:
    return (
        f"{MAX_DEATHS} workers died one after the other while they read what follows record "
        f"{records:,}. Look there for something out of the ordinary, such as a huge field."
    )


def content_hash(pair: Pair) -> str:
    """SHA-256 of all texts of a pair, in hex. Texts hold no NUL, so it can stand between them."""
    texts = [pair.instruction, pair.input, pair.response]
    for turn in pair.context:
        texts += [turn.role, turn.content]
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()
