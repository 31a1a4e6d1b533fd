"""Files that lie, break off or fill the disk: one sentence each, nothing half in, all goes on."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.base import ContentFile
from django.db import OperationalError, connection

from refinement.models import Dataset, KeptRecord, Project, Sample
from refinement.services import import_feed, importing
from refinement.services.datasets import create_dataset, import_dataset, start_import
from refinement.services.dispatch import delivered_to
from tests.services.test_datasets import alpaca, jsonl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

Status = Dataset.Status


@pytest.fixture
def imported(
    transactional_db: None,
    tmp_path: Path,
    settings: SettingsWrapper,
) -> Iterator[Callable[[bytes], Dataset]]:
    """Imports content: tables, and with ``beside`` all else, are read by a process of its own."""
    settings.MEDIA_ROOT = tmp_path / "files"
    project = Project.objects.create(name="Cooking")

    def imported(content: bytes) -> Dataset:
        dataset = create_dataset(
            project=project, name="", upload=ContentFile(content), filename="a", user=None
        )
        import_dataset(dataset_id=dataset.pk)
        dataset.refresh_from_db()
        return dataset

    with delivered_to(lambda _task, _pk: None):
        yield imported


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a file of more than a few megabytes."""
    monkeypatch.setattr(import_feed, "SMALL_BYTES", -1)


def check_failed(dataset: Dataset, said: str) -> None:
    assert (dataset.status, dataset.error) == (Status.FAILED, said)
    assert (dataset.sample_count, dataset.lease_expires_at, dataset.attempts) == (0, None, 0)
    assert not dataset.samples.exists()


def goes_on(imported: Callable[[bytes], Dataset]) -> None:
    """The next file is imported by the same worker."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(import_feed, "SMALL_BYTES", 1024)
        after = imported(jsonl(alpaca(1)))
    assert (after.status, after.sample_count) == (Status.READY, 1)


# -- What is in the file --------------------------------------------------------------------------
def test_an_array_that_is_cut_off_far_behind(
    imported: Callable[[bytes], Dataset], beside: None
) -> None:
    """Thousands of records are in the database by then."""
    row = b'{"instruction":"a","output":"b"},\n'
    check_failed(
        imported(b"[\n" + row * 9_000 + row[:20]),
        "Line 9002: the file ends in the middle of this record: it was cut off. Send all of it.",
    )
    goes_on(imported)


def varint(number: int) -> bytes:
    """A whole number as Thrift's compact protocol writes it."""
    left, out = number * 2, bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes([*out, left])


def parquet_that_says(path: Path, rows: int) -> bytes:
    """A Parquet file of 8,191 records whose footer tells another number, wherever it does."""
    records = [{"instruction": "a", "output": str(n)} for n in range(8_191)]
    pq.write_table(pa.Table.from_pylist(records), path, write_statistics=False)
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    assert footer.count(varint(8_191)) > 1
    footer = footer.replace(varint(8_191), varint(rows))
    return content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def test_a_table_that_says_it_has_billions_of_rows(
    imported: Callable[[bytes], Dataset], tmp_path: Path
) -> None:
    check_failed(
        imported(parquet_that_says(tmp_path / "t", 7_000_000_000)),
        "This Parquet file says it has 7,000,000,000 rows, which cannot be true.",
    )
    dataset = imported(parquet_that_says(tmp_path / "t", 9_000))  # it could be
    assert dataset.status == Status.FAILED
    assert "Parquet file" in dataset.error
    assert not dataset.samples.exists()
    goes_on(imported)


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_an_arrow_file_that_breaks_off(
    imported: Callable[[bytes], Dataset], tmp_path: Path, kind: str
) -> None:
    table = pa.Table.from_pylist([alpaca(n) for n in range(4_000)])
    new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with new(str(tmp_path / "t"), table.schema) as writer:
        writer.write_table(table, max_chunksize=1_500)
    whole = (tmp_path / "t").read_bytes()
    dataset = imported(whole[: len(whole) * 3 // 4])
    assert dataset.error.startswith("Behind row ")
    assert "this Arrow file is damaged or was cut off (" in dataset.error
    check_failed(dataset, dataset.error)
    goes_on(imported)


# -- The reader itself ----------------------------------------------------------------------------
def test_a_reader_that_dies_is_started_again(
    imported: Callable[[bytes], Dataset], beside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: then the import goes on behind what is stored."""
    started = import_feed.subprocess.Popen
    alive: list[Any] = []

    def start(*args: Any, **options: Any) -> Any:
        alive.append(started(*args, **options))
        return alive[-1]

    def save_then_kill(self: Any, batch: Any) -> None:
        save(self, batch)
        if len(alive) == 1:
            alive[0].send_signal(signal.SIGKILL)

    save = importing.Import._save
    monkeypatch.setattr(import_feed.subprocess, "Popen", start)
    monkeypatch.setattr(importing.Import, "_save", save_then_kill)
    dataset = imported(jsonl(*map(alpaca, range(8_000))))
    assert (dataset.status, dataset.sample_count, len(alive)) == (Status.READY, 8_000, 2)
    assert list(dataset.samples.values_list("position", flat=True)) == list(range(8_000))


def test_a_reader_is_told_no_secret(
    imported: Callable[[bytes], Dataset],
    beside: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SRT_SECRET_KEY", "s3cret")
    monkeypatch.setattr(import_feed, "COMMAND", ["sh", "-c", f"env > {tmp_path}/env; exit 1"])
    assert imported(jsonl(alpaca(1))).status == Status.FAILED
    told = (tmp_path / "env").read_text()
    assert "PATH=" in told
    assert "s3cret" not in told


def test_a_place_that_kills_every_reader_ends_the_import(
    imported: Callable[[bytes], Dataset], beside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_feed, "COMMAND", ["sh", "-c", "kill -SEGV $$"])
    dataset = imported(jsonl(alpaca(1)))
    assert dataset.error.startswith("3 workers died one after the other while they read what")
    check_failed(dataset, dataset.error)


def test_what_takes_too_much_memory_is_refused(
    imported: Callable[[bytes], Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of 300 MB in a few bytes, which has to be unpacked as a whole."""
    monkeypatch.setattr(importing, "MEMORY_LIMIT", 250 * 1024**2)
    column = pa.array([b"\0" * 30_000_000] * 10, type=pa.large_binary())
    table = pa.table({"instruction": ["a"] * 10, "output": ["b"] * 10, "z": column})
    pq.write_table(table, tmp_path / "t", compression="zstd", use_dictionary=False)
    dataset = imported((tmp_path / "t").read_bytes())
    assert "memory" in dataset.error
    check_failed(dataset, dataset.error)
    goes_on(imported)


# -- The disk -------------------------------------------------------------------------------------
@pytest.fixture
def little_room(transactional_db: None) -> Iterator[None]:
    """A database that may not grow by more than a few hundred kilobytes."""
    if connection.vendor != "sqlite":
        pytest.skip("a small disk for PostgreSQL: see the test below")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0] + 200}")
        yield
        cursor.execute("PRAGMA max_page_count = 1073741823")


LARGE = [alpaca(n, output="x" * 2_000) for n in range(3_000)]


def test_a_full_disk_ends_an_import_and_leaves_nothing(
    imported: Callable[[bytes], Dataset], little_room: None
) -> None:
    dataset = imported(jsonl(*LARGE))
    check_failed(dataset, importing.DISK_FULL)
    goes_on(imported)


def test_a_full_disk_that_takes_no_deletion_leaves_nothing_that_counts(
    imported: Callable[[bytes], Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PostgreSQL says it. Once there is room, the same file goes in, and once."""

    def full(*_: Any) -> None:
        raise OperationalError("no space") from psycopg.errors.DiskFull("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(importing, "delete_rows", full)
        insert, rows = importing.insert_rows, []

        def insert_some(model: type, columns: Any, values: Any) -> None:
            if rows:
                full()
            rows.append(insert(model, columns, values))

        patched.setattr(importing, "insert_rows", insert_some)
        dataset = imported(jsonl(*map(alpaca, range(2_500))))
    assert (dataset.status, dataset.error) == (Status.FAILED, importing.DISK_FULL)
    assert Sample.objects.count() == 1_000
    start_import(dataset=dataset)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.sample_count) == (Status.READY, 2_500)
    assert Sample.objects.count() == 2_500
    assert not KeptRecord.objects.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk of two megabytes")
def test_a_disk_without_room_for_the_reader(
    imported: Callable[[bytes], Dataset],
    beside: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What finds duplicates lies on the disk of temporary files."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)]
    if import_feed.subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this system lets root mount nothing")
    try:
        monkeypatch.setenv("TMPDIR", str(small))
        dataset = imported(jsonl(*map(alpaca, range(9_000))))
    finally:
        import_feed.subprocess.run(["umount", str(small)], check=True)
    check_failed(dataset, importing.DISK_FULL)
    goes_on(imported)
