"""Datasets: storing an upload, importing it, deleting it.

Until a dataset is ``ready`` its samples are a half-done import and count for nothing. An import may
be killed at any moment and delivered any number of times: the next one that holds the lease starts
it afresh.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction

from refinement.formats.records import printable
from refinement.formats.registry import FormatError, Record, Rejected, detect, read_records
from refinement.models import Dataset, RejectedRow, Sample
from refinement.services import audit
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.leases import Lease, LeaseLost
from refinement.services.uploads import store_upload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.core.files import File

    from refinement.method.pairs import Pair
    from refinement.models import Project, User

logger = logging.getLogger(__name__)

# A transaction takes so many records, or fewer if they are long: what is read is held in memory.
BATCH_RECORDS = 1000
BATCH_BYTES = 4 * 1024**2


def create_dataset(
    *, project: Project, name: str, upload: File[bytes], filename: str, user: User | None
) -> Dataset:
    """Store an upload and ask for its import. An empty ``name`` becomes that of the file.

    Raises ServiceError for an empty or too large file, a disk that is full, or too long a name.
    """
    filename = printable(PurePath(filename.replace("\\", "/")).name, 255) or "upload"
    name = _checked_name(name, filename)
    slot = Dataset().file
    place = slot.field.generate_filename(slot.instance, f"{uuid4().hex}.json")
    stored = store_upload(upload, storage=slot.storage, place=place)
    try:
        with transaction.atomic():
            dataset = Dataset.objects.create(
                project=project,
                name=name,
                file=stored.place,
                filename=filename,
                size_bytes=stored.size_bytes,
                sha256=stored.sha256,
                created_by=user,
            )
            audit.record("dataset.uploaded", dataset, user=user, sha256=stored.sha256)
            wake("refinement.import_dataset", dataset.pk)
    except BaseException:
        slot.storage.delete(stored.place)
        raise
    return dataset


def _checked_name(name: str, filename: str) -> str:
    name = name.strip() or printable(PurePath(filename).stem, 200)
    if len(name) > 200:
        raise ServiceError("A dataset's name may have 200 characters at most.")
    if "\x00" in name:
        raise ServiceError("The name has a character that is not text (NUL).")
    return name


def import_dataset(*, dataset_id: int) -> None:
    """Read the stored file into samples and rejected rows; the worker's task.

    Ends in ``ready``, or in ``failed`` with a sentence and without a sample. Does nothing while
    another worker holds the lease, or once the import has ended.
    """
    lease = Lease.claim(
        Dataset, dataset_id, waiting=Dataset.Status.PENDING, working=Dataset.Status.IMPORTING
    )
    if lease is None:
        logger.info("dataset %d: imported already, or by another worker", dataset_id)
        return
    try:
        _Import(Dataset.objects.get(pk=dataset_id), lease).run()
    except LeaseLost:
        logger.warning("dataset %d: another worker has taken the import over", dataset_id)


class _Import:
    """One try at one file."""

    def __init__(self, dataset: Dataset, lease: Lease) -> None:
        self._dataset = dataset
        self._lease = lease
        self._accepted = 0
        self._rejected = 0
        self._first: Rejected | None = None

    def run(self) -> None:
        self._start_afresh()
        try:
            path = Path(self._dataset.file.path)
            name = detect(
                path, mapping=self._dataset.mapping, record_limit=settings.RECORD_LIMIT_BYTES
            )
            for batch in _batches(
                read_records(
                    path,
                    format=name,
                    mapping=self._dataset.mapping,
                    record_limit=settings.RECORD_LIMIT_BYTES,
                )
            ):
                self._save(batch)
        except FormatError as error:
            self._fail(str(error))
        except FileNotFoundError:
            self._fail("The stored file is gone. Upload it again.")
        except OSError as error:
            self._fail(f"The stored file cannot be read ({error.strerror}). Upload it again.")
        else:
            self._end(name)

    def _start_afresh(self) -> None:
        """Remove what a killed try left behind."""
        with transaction.atomic():
            self._lease.renew(read_bytes=0, sample_count=0, rejected_count=0)
            _delete_samples(self._dataset)
            self._dataset.rejected_rows.all().delete()

    def _save(self, batch: list[Record | Rejected]) -> None:
        refused = [item for item in batch if isinstance(item, Rejected)]
        accepted = [item for item in batch if isinstance(item, Record)]
        if refused and self._first is None:
            self._first = refused[0]
        with transaction.atomic():
            self._lease.renew(
                read_bytes=batch[-1].read_bytes,
                sample_count=self._accepted + len(accepted),
                rejected_count=self._rejected + len(refused),
            )
            Sample.objects.bulk_create(self._samples(accepted))
            RejectedRow.objects.bulk_create(self._rejected_rows(refused))
        self._accepted += len(accepted)
        self._rejected += len(refused)

    def _samples(self, records: Iterable[Record]) -> Iterator[Sample]:
        for position, record in enumerate(records, self._accepted):
            pair = record.pair
            yield Sample(
                dataset=self._dataset,
                position=position,
                line=record.line,
                instruction=pair.instruction,
                input=pair.input,
                response=pair.response,
                context=[{"role": turn.role, "content": turn.content} for turn in pair.context],
                extra=record.extra,
                layout=list(record.layout),
                content_hash=content_hash(pair),
            )

    def _rejected_rows(self, rows: Iterable[Rejected]) -> Iterator[RejectedRow]:
        for row in rows:
            yield RejectedRow(
                dataset=self._dataset,
                line=row.line,
                field=row.field,
                reason=row.reason,
                excerpt=row.excerpt,
            )

    def _end(self, format_name: str) -> None:
        if not self._accepted:
            self._fail(self._why_nothing())
            return
        self._lease.finish(
            status=Dataset.Status.READY,
            error="",
            format=format_name,
            read_bytes=self._dataset.size_bytes,
        )

    def _why_nothing(self) -> str:
        if self._first is None:
            return "The file holds no records."
        return (
            f"None of the {self._rejected:,} records can be used. "
            f"The first: line {self._first.line}, {self._first.reason}."
        )

    def _fail(self, sentence: str) -> None:
        """End without a sample. The rejected rows stay: they help to mend the file."""
        with transaction.atomic():
            self._lease.finish(status=Dataset.Status.FAILED, error=sentence, sample_count=0)
            _delete_samples(self._dataset)


def _batches(items: Iterator[Record | Rejected]) -> Iterator[list[Record | Rejected]]:
    batch: list[Record | Rejected] = []
    begin = 0
    for item in items:
        batch.append(item)
        if len(batch) == BATCH_RECORDS or item.read_bytes - begin >= BATCH_BYTES:
            yield batch
            batch, begin = [], item.read_bytes
    if batch:
        yield batch


def content_hash(pair: Pair) -> str:
    """SHA-256 of all texts of a pair, in hex. Texts hold no NUL, so it can stand between them."""
    texts = [pair.instruction, pair.input, pair.response]
    for turn in pair.context:
        texts += [turn.role, turn.content]
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()


def delete_dataset(*, dataset: Dataset) -> None:
    """Delete a dataset, its samples and its file. Raises ServiceError while a run uses it."""
    with transaction.atomic():
        locked = Dataset.objects.select_for_update().get(pk=dataset.pk)
        names = list(locked.runs.values_list("name", flat=True)[:3])
        if names:
            raise ServiceError(
                f"“{locked.name}” is used by runs ({', '.join(names)}), so it cannot be deleted."
            )
        _delete_samples(locked)
        audit.record("dataset.deleted", locked, sha256=locked.sha256)
        locked.delete()
        transaction.on_commit(lambda: locked.file.delete(save=False))


def _delete_samples(dataset: Dataset) -> None:
    """Delete without loading: a queryset's delete() would fetch every row to look for dependants.

    The database still refuses where a run depends on a sample.
    """
    table = connection.ops.quote_name(Sample._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE dataset_id = %s", [dataset.pk])  # noqa: S608
