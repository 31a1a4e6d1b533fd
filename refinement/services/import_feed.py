"""The reader of an import, beside the writer: in this process for a small file, else in its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from refinement.formats.files import is_plain_text
from refinement.services.import_reader import HEAD, Reader, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refinement.services.import_reader import Message, ReadingTask

COMMAND = [sys.executable, "-m", "refinement.services.import_reader"]
SMALL_BYTES = 4 * 1024**2  # of text, for which a process is not worth its start
PATIENCE_SECONDS = 300.0  # without a word, after which a reader hangs
_PIPE_BYTES = 1024**2
_LOOK_UP_MS = 100  # from waiting, for the lease
# What a program needs to run. No password or key: the reader meets what strangers have made.
_PASSED = {"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
# Threads of libraries would only take memory: the reader is one.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}


class ReaderDied(Exception):  # noqa: N818 - an event among processes, as LeaseLost
    """The reader's process ended without a word, or hangs: it is as if a worker had died."""


@contextmanager
def reading(task: ReadingTask, *, while_waiting: Callable[[], None]) -> Iterator[Iterator[Message]]:
    """The messages of a ``Reader`` of ``task``. ``while_waiting`` is called now and then.

    Reading raises FormatError, OSError and ReaderDied.
    """
    path = Path(task.path)
    if path.stat().st_size <= SMALL_BYTES and is_plain_text(path):
        yield Reader(task).messages()
        return
    with subprocess.Popen(
        COMMAND,
        env=_environment(),
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            yield _messages(process, task, while_waiting)
        finally:
            process.kill()


def _environment() -> dict[str, str]:
    passed = {k: v for k, v in os.environ.items() if k in _PASSED or k.startswith("PYTHON")}
    return passed | _ONE_THREAD


def _messages(
    process: subprocess.Popen[bytes], task: ReadingTask, while_waiting: Callable[[], None]
) -> Iterator[Message]:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(orjson.dumps(asdict(task)))
        process.stdin.close()
    pipe = process.stdout.fileno()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # more than an administrator allows
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    while head := _receive(pipe, HEAD.size, while_waiting, may_end=True):
        kind, length = HEAD.unpack(head)
        yield unpacked(kind, _receive(pipe, length, while_waiting))
    if process.wait():
        raise ReaderDied(f"the reader ended with {process.returncode}")


def _receive(
    pipe: int, count: int, while_waiting: Callable[[], None], *, may_end: bool = False
) -> bytes:
    """``count`` bytes; none at the end of all. Raises ReaderDied."""
    received = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    end = time.monotonic() + PATIENCE_SECONDS
    while len(received) < count:
        while not poll.poll(_LOOK_UP_MS):
            if time.monotonic() > end:
                raise ReaderDied("the reader says nothing any more")
            while_waiting()
        data = os.read(pipe, min(count - len(received), _PIPE_BYTES))
        if not data:
            if may_end and not received:
                return b""
            raise ReaderDied("the reader broke off")
        received += data
    return bytes(received)
