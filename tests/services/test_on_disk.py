"""What the database says is stored is on the disk, and gets there bit by bit."""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection

from refinement.services import on_disk, uploads
from refinement.services.bulk import written_out_steadily
from refinement.services.errors import ServiceError
from refinement.services.on_disk import Behind
from refinement.services.uploads import store_upload

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1024**2
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size that a file had each time it was written out, or 0 for a folder."""
    sizes: list[int] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        about = os.fstat(handle)
        sizes.append(0 if stat.S_ISDIR(about.st_mode) else about.st_size)
        fsync(handle)

    monkeypatch.setattr(uploads, "SYNC_BYTES", 2 * MEGABYTE)
    monkeypatch.setattr("os.fsync", watched)
    return sizes


def test_an_upload_is_written_out_as_it_comes(tmp_path: Path, synced: list[int]) -> None:
    storage, upload = FileSystemStorage(tmp_path), ContentFile(b"x" * (5 * MEGABYTE), "data")
    stored = store_upload(upload, storage=storage, place="a/b")
    assert (tmp_path / stored.place).stat().st_size == stored.size_bytes == 5 * MEGABYTE
    assert synced == [2 * MEGABYTE, 4 * MEGABYTE, 5 * MEGABYTE, 0]


def test_a_disk_that_is_full_only_when_asked_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise FULL

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ServiceError, match="disk is full"):
        store_upload(ContentFile(b"x", "data"), storage=FileSystemStorage(tmp_path), place="a")
    assert list(tmp_path.iterdir()) == []


def test_the_writer_of_an_export_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()
    monkeypatch.setattr(on_disk, "SYNC_BYTES", 100)
    monkeypatch.setattr("os.fsync", lambda _: may_end.wait(60))
    with (tmp_path / "file").open("wb") as file:
        behind = Behind(file)
        for _ in range(5):
            file.write(b"x" * 100)
            behind.written()  # the first sync still waits
        may_end.set()
        behind.finish()
        behind.stop()


def test_what_went_wrong_behind_the_writer_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def full(_: int) -> None:
        failed.set()
        raise FULL

    monkeypatch.setattr(on_disk, "SYNC_BYTES", 100)
    with (tmp_path / "file").open("wb") as file:
        behind = Behind(file)
        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", full)
            file.write(b"x" * 100)
            behind.written()
            assert failed.wait(60)
        with pytest.raises(OSError, match="No space left"):
            behind.finish()
        behind.stop()


def flush_after() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW backend_flush_after")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_postgresql_writes_out_what_is_imported_as_it_goes() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("the server's setting is PostgreSQL's")
    before = flush_after()
    with written_out_steadily():
        assert flush_after() == "512kB" != before
    assert flush_after() == before
