"""``manage.py score IN -o OUT.jsonl``: the losses, IFD and r-IFD of every record of a file.

No broker and no database. The file is read, scored and written a chunk at a time, so that its size
does not matter; OUT appears when all of it is done.
"""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentTypeError
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from django.conf import settings
from django.core.management.base import CommandError

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.model import ensure_embedded_model
from refinement.formats.registry import FormatError, detect, read_records
from refinement.management.quick import QuickCommand
from refinement.management.stopping import terminated_as_interrupted
from refinement.method.errors import StudentError
from refinement.method.specs import StudentSpec
from refinement.method.student_files import check_student_path
from refinement.method.templates import CHAT, TEMPLATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

    from refinement.method.student import Student

USAGE = 2  # exit code where what was asked for cannot be: nothing was begun
LOG_SECONDS = 10.0  # between progress lines where nobody watches
INTERRUPTED = 130


class Command(QuickCommand):
    help = "Score every record of a file with the student: four losses, IFD and r-IFD."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("input", type=Path, metavar="IN", help="Alpaca JSON or JSON Lines")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.jsonl")
        parser.add_argument("--student", default="embedded", metavar="embedded|PATH")
        parser.add_argument("--template", default="vicuna", choices=[*TEMPLATE_NAMES, CHAT])
        parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
        parser.add_argument("--max-length", type=_max_length, default=2048, metavar="TOKENS")
        parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
        parser.add_argument(
            "--tokens", action="store_true", help="add the loss of each token of the response"
        )

    def handle(self, **options: Any) -> None:
        source, target = options["input"], options["output"].resolve()
        try:
            self._check(source, target, options["student"])
            with terminated_as_interrupted():
                student = self._load(options)
                self._score(source, target, student, tokens=options["tokens"])
        except (StudentError, EmbeddedError) as error:
            raise CommandError(str(error)) from error
        except FormatError as error:
            raise CommandError(f"{source}: {error}") from error
        except OSError as error:
            name = error.filename or target
            raise CommandError(f"{name}: {error.strerror or error}.") from error
        except KeyboardInterrupt:
            self.stderr.write(f"Stopped; {target} was not written.")
            raise SystemExit(INTERRUPTED) from None

    def _check(self, source: Path, target: Path, student: str) -> None:
        """All that can be said before a model is loaded."""
        if not source.is_file():
            raise CommandError(f"There is no file {source}.", returncode=USAGE)
        if not target.parent.is_dir():
            raise CommandError(f"There is no folder {target.parent}.", returncode=USAGE)
        if target.exists() and not target.is_file():
            raise CommandError(f"{target} is not a file.", returncode=USAGE)
        detect(source, record_limit=settings.RECORD_LIMIT_BYTES)
        if student != "embedded":
            try:
                check_student_path(student)
            except StudentError as error:
                raise CommandError(str(error), returncode=USAGE) from error

    def _load(self, options: dict[str, Any]) -> Student:
        from refinement.method.student import Student  # here, as torch takes seconds to import

        embedded = options["student"] == "embedded"
        spec = StudentSpec(
            path=str(ensure_embedded_model()) if embedded else options["student"],
            template=options["template"],
            dtype=options["dtype"],
            max_length=options["max_length"],
            device=options["device"],
        )
        student = Student.load(spec)
        if student.max_length < spec.max_length:
            self.stderr.write(f"The student's context ends at {student.max_length} tokens.")
        return student

    def _score(self, source: Path, target: Path, student: Student, *, tokens: bool) -> None:
        from refinement.management.score_lines import answer, in_chunks

        template = student.template()
        if tokens and not student.places_tokens:
            raise StudentError("This student's tokenizer cannot tell where its tokens stand.")
        progress = Progress(self.stderr, source.stat().st_size)
        records = read_records(source, record_limit=settings.RECORD_LIMIT_BYTES)
        with written_at_once(target) as out:
            for chunk in in_chunks(records):
                lines = answer(
                    chunk, first=progress.done, student=student, template=template, tokens=tokens
                )
                for line in lines:
                    out.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                progress.add([line["status"] for line in lines], chunk[-1].read_bytes)
        progress.finish(target)


class Progress:
    """How far it is, on stderr: one line that changes where somebody watches, else a few lines."""

    def __init__(self, stream: Any, total_bytes: int) -> None:
        self._stream = stream
        self._watched = stream.isatty()
        self._total_bytes = total_bytes
        self._began = self._shown = time.monotonic()
        self._counts: Counter[str] = Counter()

    @property
    def done(self) -> int:
        """Records so far."""
        return self._counts.total()

    def add(self, statuses: list[str], read_bytes: int) -> None:
        self._counts.update(statuses)
        now = time.monotonic()
        if not self._watched and now - self._shown < LOG_SECONDS:
            return
        self._shown = now
        share = read_bytes / max(1, self._total_bytes)
        line = f"{self.done:,} records, {share:.0%} of the file, {self._speed(now)}"
        self._stream.write(f"\r\x1b[K{line}" if self._watched else f"{line}\n", ending="")
        self._stream.flush()

    def finish(self, target: Path) -> None:
        counts = ", ".join(f"{count:,} {status}" for status, count in self._counts.most_common())
        start = "\r\x1b[K" if self._watched else ""
        speed = self._speed(time.monotonic())
        self._stream.write(f"{start}{target}: {self.done:,} records ({counts}), {speed}.")

    def _speed(self, now: float) -> str:
        return f"{self.done / max(0.001, now - self._began):.1f} records/s"


@contextmanager
def written_at_once(target: Path) -> Iterator[TextIO]:
    """A text file that takes its name only when it is complete, and else leaves nothing."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _max_length(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise ArgumentTypeError(f"{text!r} is not a number of tokens above 1")
    return int(text)
