"""Writing a selection as JSON Lines: the same bytes for the same decisions, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from django.utils.translation import gettext

from refinement.formats.alpaca import write_record
from refinement.selectors.selection import FAILED, UNFINISHED, SelectedPair, effective_pairs
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from refinement.models import Run
    from refinement.selectors.selection import Ratios

SCORES_FIELD = "srt"
BREATH = 500  # records between two calls of ``on_progress``

# Valid in JSON, but ends of line to many programs that read a file by lines.
_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """``include``: ``kept`` or ``all``. ``with_scores``: add the field ``srt`` to each record."""

    include: str = "kept"
    with_scores: bool = False

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Self:
        """Raises ServiceError for an unknown option or value."""
        unknown = sorted(set(options) - {option.name for option in fields(cls)})
        if unknown:
            raise ServiceError(
                gettext("An export has no option “%(unknown)s”.") % {"unknown": unknown[0]}
            )
        made = cls(**options)
        if made.include not in {"kept", "all"}:
            raise ServiceError(gettext("Choose what to export: the kept pairs, or all."))
        if not isinstance(made.with_scores, bool):
            raise ServiceError(gettext("Choose whether to export the scores: yes or no."))
        return made

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Tally:
    """What went by while a file was written."""

    total: int = 0
    kept: int = 0
    rows: int = 0
    failed: int = 0
    unfinished: int = 0
    overrides: int = 0
    by_source: Counter[str] = field(default_factory=Counter)  # of the kept
    dropped: Counter[str] = field(default_factory=Counter)
    by_action: Counter[str] = field(default_factory=Counter)
    sha256: str = ""

    def count(self, selected: SelectedPair) -> None:
        self.total += 1
        self.overrides += selected.overrides
        if selected.action:
            self.by_action[selected.action] += 1
        if selected.kept:
            self.kept += 1
            self.by_source[selected.source] += 1
        elif selected.reason == FAILED:
            self.failed += 1
        elif selected.reason == UNFINISHED:
            self.unfinished += 1
        else:
            self.dropped[selected.reason] += 1


def write_selection(
    run: Run,
    path: Path,
    options: ExportOptions,
    *,
    on_progress: Callable[[], None] = lambda: None,
) -> Tally:
    """Write the file at ``path``, beside which it grows under another name until it is whole.

    ``on_progress`` is called now and then; what it raises ends the writing. Raises ServiceError
    where the disk does not take the file, or a pair cannot be said in Alpaca's fields.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            tally = _write(run, file, options, on_progress)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ServiceError(_disk_sentence(error, path)) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return tally


def _write(
    run: Run, file: BinaryIO, options: ExportOptions, on_progress: Callable[[], None]
) -> Tally:
    tally, digest = Tally(), hashlib.sha256()
    for selected in effective_pairs(run, include="all", scores=options.with_scores):
        if tally.total % BREATH == 0:
            on_progress()
        tally.count(selected)
        if selected.kept or options.include == "all":
            line = _line(selected, with_scores=options.with_scores)
            file.write(line)
            digest.update(line)
            tally.rows += 1
    tally.sha256 = digest.hexdigest()
    return tally


def _line(selected: SelectedPair, *, with_scores: bool) -> bytes:
    try:
        record = write_record(selected.pair, selected.extra, selected.layout)
    except ValueError as error:
        raise ServiceError(
            gettext("Pair %(position)s cannot be exported: %(error)s.")
            % {"position": selected.position + 1, "error": error}
        ) from error
    if with_scores:
        record[SCORES_FIELD] = scores_record(selected)
    return (json.dumps(record, ensure_ascii=False).translate(_LINE_ENDS) + "\n").encode()


def scores_record(selected: SelectedPair) -> dict[str, Any]:
    """What the field ``srt`` says: who chose this pair, and the student's scores before → after.

    An absent word is an empty text, not null: ``datasets`` takes a column's type from its first
    megabytes, and could not read a column of nulls in which a text turns up later.
    """
    before, after = selected.before, selected.after
    return {
        "kept": selected.kept,
        "source": selected.source,
        "by": selected.by,
        "decision": selected.action,
        "verdict": selected.sentence,
        "ifd_before": _ratio(before, "ifd"),
        "ifd_after": _ratio(after, "ifd"),
        "r_ifd_before": _ratio(before, "r_ifd"),
        "r_ifd_after": _ratio(after, "r_ifd"),
    }


def _ratio(score: Ratios | None, name: str) -> float | None:
    return getattr(score, name) if score is not None else None


def _disk_sentence(error: OSError, path: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk is full, so the export was not written. Make room, then export again."
    return f"The export cannot be written to {path.parent} ({error.strerror})."
