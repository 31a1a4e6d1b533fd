"""Reading a stored file into samples: the worker's part of an import.

What is read and what was counted go into the database together, a batch at a time, so an import may
be killed at any moment: the next worker that holds the lease reads up to where the counts say,
writes nothing of that again, and goes on. Until a dataset is ``ready`` its samples count for
nothing.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F

from refinement.formats.errors import FormatError
from refinement.formats.shape import LAST
from refinement.models import Dataset, GivenRewrite, KeptRecord, RejectedRow, Sample
from refinement.services.bulk import delete_rows, insert_rows, written_out_steadily
from refinement.services.full_disk import disk_is_full
from refinement.services.import_feed import ReaderDied, reading
from refinement.services.import_reader import Found, Profile, ReadingTask
from refinement.services.import_rows import (
    KEPT_COLUMNS,
    REJECTED_COLUMNS,
    REWRITE_COLUMNS,
    SAMPLE_COLUMNS,
    Batch,
    content_hash,
)
from refinement.services.leases import Lease, LeaseLost

if TYPE_CHECKING:
    from refinement.services.import_reader import Message

__all__ = ["content_hash", "import_dataset"]

logger = logging.getLogger(__name__)

MEMORY_LIMIT = 2 * 1024**3  # bytes that a reader's process may take
MAX_DEATHS = 3  # workers that may die at one place of a file before it is given up
DISK_FULL = (
    "The server's disk is full, so the import stopped and nothing was taken in. Ask whoever runs "
    "the server to make room, then import the file again."
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
        self._deaths = dataset.attempts - 1  # at this place of the file
        self._done = dataset.record_count  # records whose fate is in the database
        self._samples = dataset.sample_count
        self._kept = dataset.kept_count
        self._rejected = dataset.rejected_count
        self._skipped = dataset.skipped_count
        self._profile: dict[str, Any] = {}

    def run(self) -> None:
        try:
            if not self._dataset.sha256:
                self._note(sha256=self._hash())
            while self._deaths < MAX_DEATHS:
                try:
                    self._read()
                except ReaderDied as death:
                    logger.warning("dataset %d: %s", self._dataset.pk, death)
                    self._deaths += 1
                    self._lease.renew(attempts=self._deaths + 1)
                else:
                    self._end()
                    return
            self._fail(_deaths(self._done))
        except FormatError as error:
            self._fail(str(error))
        except FileNotFoundError:
            self._fail("The stored file is gone. Upload it again.")
        except OSError as error:
            unreadable = f"The stored file cannot be read ({error.strerror}). Upload it again."
            self._fail(DISK_FULL if disk_is_full(error) else unreadable)
        except DatabaseError as error:
            if not disk_is_full(error):
                raise
            self._fail(DISK_FULL)

    def _note(self, **changes: Any) -> None:
        """What the user left open, and was found out."""
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

    def _keep_lease(self) -> None:
        if self._lease.nearly_over():
            self._lease.renew()

    # -- Reading and writing ----------------------------------------------------------------------
    def _read(self) -> None:
        with (
            written_out_steadily(),
            reading(self._task(), while_waiting=self._keep_lease) as messages,
        ):
            for message in messages:
                self._hear(message)

    def _task(self) -> ReadingTask:
        options = self._dataset.options
        return ReadingTask(
            dataset_id=self._dataset.pk,
            path=str(self._path),
            format=self._dataset.format,
            mapping=self._dataset.mapping,
            turns=options.get("turns", LAST),
            duplicates=options.get("duplicates", "keep"),
            record_limit=settings.RECORD_LIMIT_BYTES,
            size_limit=settings.UPLOAD_LIMIT_BYTES,
            memory_limit=MEMORY_LIMIT,
            done=self._done,
            position=self._samples + self._kept,
        )

    def _hear(self, message: Message) -> None:
        if isinstance(message, Batch):
            self._save(message)
        elif isinstance(message, Found):
            if not self._dataset.format:
                self._note(format=message.format, mapping=message.mapping)
            self._dataset.container = message.container
        elif isinstance(message, Profile):
            self._profile = message.figures
        else:
            self._keep_lease()

    def _save(self, batch: Batch) -> None:
        with self._lease.transaction():
            self._lease.renew(
                attempts=0,
                read_bytes=batch.read_bytes,
                record_count=self._done + batch.records,
                sample_count=self._samples + len(batch.samples),
                kept_count=self._kept + len(batch.kept),
                rejected_count=self._rejected + len(batch.rejected),
                skipped_count=self._skipped + batch.skipped,
            )
            _insert(batch, dry_run=self._dataset.dry_run)
        self._deaths = 0
        self._done += batch.records
        self._samples += len(batch.samples)
        self._kept += len(batch.kept)
        self._rejected += len(batch.rejected)
        self._skipped += batch.skipped

    # -- Ending -----------------------------------------------------------------------------------
    def _end(self) -> None:
        if self._dataset.dry_run:
            self._finish(Dataset.Status.DRAFT)
        elif self._rejected and self._dataset.options.get("bad") == "refuse":
            self._fail(
                f"{self._rejected:,} of the {self._done:,} records cannot be used, and you asked "
                "for all or nothing. Mend them, or import the good ones alone."
            )
        elif not self._samples and not self._kept:
            self._fail(self._why_nothing())
        else:
            self._finish(Dataset.Status.READY)

    def _finish(self, status: str) -> None:
        self._lease.finish(
            status=status,
            error="",
            container=self._dataset.container,
            read_bytes=self._dataset.size_bytes,
            profile=self._profile,
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

    def _fail(self, sentence: str) -> None:
        """End without a sample. The rejected rows stay: they help to mend the file."""
        end = {
            "status": Dataset.Status.FAILED,
            "error": sentence,
            "sample_count": 0,
            "kept_count": 0,
            "skipped_count": 0,
            "attempts": 0,
            "profile": self._profile,
        }
        try:
            with transaction.atomic():
                self._lease.finish(**end)
                delete_rows(self._dataset, Sample, KeptRecord, GivenRewrite)
        except DatabaseError as error:
            if not disk_is_full(error):
                raise
            # Even a deletion takes room. The rows count for nothing, and go when the file is
            # imported again or deleted.
            self._lease.finish(**end)


def _insert(batch: Batch, *, dry_run: bool) -> None:
    if batch.rejected:
        insert_rows(RejectedRow, REJECTED_COLUMNS, batch.rejected)
    if dry_run:
        return
    if batch.samples:
        insert_rows(Sample, SAMPLE_COLUMNS, batch.samples)
    if batch.kept:
        insert_rows(KeptRecord, KEPT_COLUMNS, batch.kept)
    if batch.rewrites:
        insert_rows(GivenRewrite, REWRITE_COLUMNS, batch.rewrites)


def _deaths(records: int) -> str:
    return (
        f"{MAX_DEATHS} workers died one after the other while they read what follows record "
        f"{records:,}. Look there for something out of the ordinary, such as a huge field."
    )
