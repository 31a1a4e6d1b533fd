"""Reads a file for an import: all of it that needs no database.

``Reader`` yields what it finds as messages. For a file of any size it runs in a process of its own
(``import_feed.py``), so that reading and writing use two cores, and a file that makes a library
crash or take all memory ends that process and not the worker with its other jobs.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from refinement.formats.errors import FormatError
from refinement.formats.files import open_values
from refinement.formats.registry import detect, read_raw, shape_of
from refinement.formats.survey import Survey
from refinement.services.import_rows import Batch, Sorter, behind, count_pairs, count_records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from refinement.services.import_rows import Items

# A batch takes so many records, or fewer if they are long: what is read is held in memory.
BATCH_RECORDS = 1000
BATCH_BYTES = 4 * 1024**2
TOO_MUCH = (
    "Reading this file takes more memory at once than an import may have. Write it with smaller "
    "records or row groups, and send it again."
)

HEAD = struct.Struct(">cI")  # of a message: its kind, and the length of the JSON that follows
FOUND, BATCH, STILL, PROFILE, REFUSED, UNREADABLE = b"F", b"B", b"S", b"P", b"R", b"U"


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """What to read. Without a ``format`` the content tells. Limits are in bytes.

    The fate of the first ``done`` records is known already, and ``position`` is that of the first
    sample behind them.
    """

    dataset_id: int
    path: str
    format: str
    mapping: dict[str, str]
    turns: str
    duplicates: str  # which are skipped: keep (none), exact, near
    record_limit: int
    size_limit: int
    memory_limit: int  # of a process of its own
    done: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """How the file is read."""

    format: str
    mapping: dict[str, str]
    container: str = ""


@dataclass(frozen=True, slots=True)
class Still:
    """Nothing new: the reader is at work."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The end of the file, and the figures of all of it."""

    figures: dict[str, Any]


Message = Found | Batch | Still | Profile


class Reader:
    def __init__(self, task: ReadingTask) -> None:
        self._task = task
        self._survey = Survey()
        self._container = ""

    def messages(self) -> Iterator[Message]:
        """All that an import needs to hear, in order. Raises FormatError and OSError."""
        found = self._find_out()
        yield found
        skip = None
        if self._task.duplicates != "keep":
            for items in self._lots(found):
                self._look_at(items)
                yield Still()
            repeated = self._survey.duplicates(near=self._task.duplicates == "near")
            skip = set(repeated.nonzero()[0].tolist())
        yield from self._batches(found, skip)
        yield Found(found.format, found.mapping, self._container)
        yield Profile(self._survey.figures())

    def _find_out(self) -> Found:
        task = self._task
        if task.format:
            return Found(task.format, task.mapping)
        return Found(*detect(Path(task.path), mapping=task.mapping, record_limit=task.record_limit))

    def _batches(self, found: Found, skip: set[int] | None) -> Iterator[Message]:
        sorter = Sorter(self._task.dataset_id, self._task.position)
        pairs = records = 0
        for items in self._lots(found):
            if skip is None:
                self._look_at(items)
            fresh = behind(items, self._task.done - records)
            records += count_records(items)
            pairs += count_pairs(items)
            yield sorter.sort(fresh, skip or (), pairs - count_pairs(fresh)) if fresh else Still()

    def _look_at(self, items: Items) -> None:
        for item in items:
            self._survey.add(item)

    def _lots(self, found: Found) -> Iterator[Items]:
        """All records, whole ones in each lot."""
        task = self._task
        shape = shape_of(found.format, found.mapping, turns=task.turns)
        items: Items = []
        begin = records = 0
        with open_values(
            Path(task.path), record_limit=task.record_limit, size_limit=task.size_limit
        ) as (self._container, values):
            for raw in values:
                items += read_raw(shape, raw)
                records += 1
                if records == BATCH_RECORDS or raw.read_bytes - begin >= BATCH_BYTES:
                    yield items
                    items, begin, records = [], raw.read_bytes, 0
        if items:
            yield items


# -- As a process of its own ----------------------------------------------------------------------
def main() -> None:
    """Read the task from stdin as JSON, and write the messages to stdout."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)  # batches come and go; cycles are rare
    os.nice(5)  # whoever waits for a page goes first
    task = ReadingTask(**orjson.loads(sys.stdin.buffer.read()))
    with contextlib.suppress(ValueError, OSError):  # where the system has it lower already
        resource.setrlimit(resource.RLIMIT_DATA, (task.memory_limit, task.memory_limit))
    out = sys.stdout.buffer
    try:
        for message in Reader(task).messages():
            _tell(out, *_packed(message))
    except FormatError as error:
        _tell(out, REFUSED, {"sentence": str(error)})
    except MemoryError:
        _tell(out, REFUSED, {"sentence": TOO_MUCH})
    except BrokenPipeError:
        os._exit(0)  # nobody listens any more
    except OSError as error:
        _tell(out, UNREADABLE, {"errno": error.errno, "reason": error.strerror})


def _packed(message: Message) -> tuple[bytes, Any]:
    if isinstance(message, Batch):
        return BATCH, message
    if isinstance(message, Found):
        return FOUND, asdict(message)
    if isinstance(message, Profile):
        return PROFILE, asdict(message)
    return STILL, {}


def unpacked(kind: bytes, data: bytes) -> Message:
    """The message again. Raises what the reader raised."""
    told = orjson.loads(data)
    if kind == BATCH:
        return Batch(**told)
    if kind == FOUND:
        return Found(**told)
    if kind == PROFILE:
        return Profile(**told)
    if kind == REFUSED:
        raise FormatError(None, told["sentence"])
    if kind == UNREADABLE:
        raise OSError(told["errno"], told["reason"])
    return Still()


def _tell(out: BinaryIO, kind: bytes, content: Any) -> None:
    data = orjson.dumps(content)
    out.write(HEAD.pack(kind, len(data)))
    out.write(data)
    out.flush()


if __name__ == "__main__":
    main()
