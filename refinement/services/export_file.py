"""Writing an export: a folder of files, the same bytes for the same decisions, whole or not at all.

``train.jsonl``, with a split ``validation.jsonl`` beside it, and the papers that go with them: the
manifest, a dataset card and LLaMA-Factory's ``dataset_info.json``. The folder as it is can be
loaded by ``datasets.load_dataset`` and pushed to a hub.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from refinement.formats.writing.containers import CONTAINERS, Container
from refinement.selectors.snapshot import snapshot
from refinement.services import export_policy
from refinement.services.errors import ServiceError
from refinement.services.export_stream import ExportStream
from refinement.services.on_disk import Behind

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from refinement.models import Dataset, Run
    from refinement.selectors.export_preview import SelectionCounts
    from refinement.services.export_options import ExportOptions

TRAIN, VALIDATION = "train", "validation"


@dataclass(slots=True)
class WrittenFile:
    """One file of an export. ``split`` is ``train`` or ``validation``."""

    name: str
    split: str
    rows: int = 0
    size_bytes: int = 0
    sha256: str = ""
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Written:
    """What came of writing, all from one view of the database. ``fields``: of all records."""

    counts: SelectionCounts
    files: list[WrittenFile]
    left_out: Counter[str]
    example: str
    fields: list[str]
    figures: dict[str, Any]
    unscorable: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


class _Part:
    """A file that grows."""

    def __init__(self, folder: Path, split: str, container: type[Container]) -> None:
        self.written = WrittenFile(f"{split}{container.suffix}", split)
        self._path = folder / self.written.name
        self._file: BinaryIO = self._path.open("xb")
        self._behind = Behind(self._file)
        self._container = container(self._file, scratch=folder)

    def write(self, records: list[dict[str, Any]]) -> None:
        self._container.write(records)
        self._behind.written()
        self.written.rows += len(records)

    def finish(self) -> WrittenFile:
        self._container.close()
        self._behind.finish()
        self.close()
        self.written.notes = self._container.notes()
        with self._path.open("rb") as file:
            self.written.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.written.size_bytes = self._path.stat().st_size
        return self.written

    def close(self) -> None:
        self._behind.stop()
        self._file.close()


def write_files(
    *,
    dataset: Dataset,
    run: Run | None,
    options: ExportOptions,
    folder: Path,
    papers: Callable[[Written], dict[str, str]],
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Written:
    """Write the files into ``folder``, which appears under its name when they are whole.

    ``papers`` gives the text files to put beside them. ``on_progress(done, total)`` is called now
    and then; what it raises ends the writing. Raises ServiceError where the disk does not take it.
    """
    part = folder.with_name(f".{folder.name}.{uuid4().hex}.part")
    try:
        part.mkdir(parents=True)
        with snapshot(copies=[export_policy.TABLE] if options.policy else []) as using:
            if run and options.spec:
                export_policy.judge_anew(
                    run, options.spec, using=using, while_working=lambda: on_progress(0, 0)
                )
            stream = ExportStream(dataset, run, options, using)
            written = _write(stream, part, on_progress)
        for name, text in papers(written).items():
            (part / name).write_text(text, "utf-8")
        part.replace(folder)
    except OSError as error:
        raise ServiceError(_disk_sentence(error, folder)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return written


def _write(stream: ExportStream, folder: Path, on_progress: Callable[[int, int], None]) -> Written:
    options = stream.options
    counts, figures, unscorable = stream.counts(), stream.means(), stream.unscorable()
    total = counts.kept if options.include == "kept" else counts.total
    container = CONTAINERS[options.container]
    fields: dict[str, None] = {}
    with ExitStack() as open_files:
        parts = [_Part(folder, TRAIN, container)]
        if options.validation_percent:
            parts.append(_Part(folder, VALIDATION, container))
        for part in parts:
            open_files.callback(part.close)
        on_progress(0, total)
        for batch in stream.batches():
            for part, records in zip(parts, batch, strict=False):
                part.write(records)
                for names in dict.fromkeys(map(tuple, records)):
                    fields.update(dict.fromkeys(names))
            on_progress(sum(part.written.rows for part in parts), total)
        files = [part.finish() for part in parts]
    on_progress(total, total)
    return Written(
        counts, files, stream.left_out, stream.example, list(fields), figures, unscorable
    )


def _disk_sentence(error: OSError, folder: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk is full, so the export was not written. Make room, then export again."
    return f"The export cannot be written to {folder.parent} ({error.strerror})."
