"""One set of services for a data folder: a second one would fight over the same files and ports."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refinement.embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def data_dir_lock(folder: Path) -> Iterator[None]:
    """Held as long as this process lives, however it ends. Raises EmbeddedError if another has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / "up.pid").open("a+")
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {folder} cannot be written ({error.strerror}): "
            "make room or set SRT_DATA_DIR to another folder."
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            pid = handle.read().strip() or "unknown"
            raise EmbeddedError(
                f"srt-web already runs on the data folder {folder} (process {pid}): "
                "stop that one first, or set SRT_DATA_DIR to another folder."
            ) from error
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield
