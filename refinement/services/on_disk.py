"""Files that are on the disk when the database says so, also after the power fails.

They are written out as they grow: left to itself Linux does so after half a minute and all at once,
and for up to a second every commit of a database on that disk waits behind it.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

SYNC_BYTES = 8 * 1024**2  # written at a time: a tenth of a second of a slow disk


def sync(path: Path) -> None:
    """Wait until what was written to a file, or renamed within a folder, is on the disk.

    Raises OSError, also for what a write before it could not know: a disk that is full.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Behind:
    """Writes an open file out behind its writer, who does not wait for it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begun = 0  # bytes of the file when the last sync began
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sync")
        self._sync: Future[None] | None = None

    def written(self) -> None:
        """More is in the file. Raises OSError of a sync that failed meanwhile."""
        if self._file.tell() - self._begun < SYNC_BYTES:
            return
        if self._sync is not None:
            if not self._sync.done():
                return
            self._sync.result()
        self._begun = self._file.tell()
        self._sync = self._thread.submit(os.fsync, self._file.fileno())

    def finish(self) -> None:
        """Wait for all of it. Raises OSError."""
        if self._sync is not None:
            self._sync.result()
        self._file.flush()
        os.fsync(self._file.fileno())

    def stop(self) -> None:
        """Wait for nothing more than the sync under way: the file may be closed then."""
        self._thread.shutdown()
