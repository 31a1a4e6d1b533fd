"""What would leave under given options, before anybody asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS

from refinement.services.export_options import ExportOptions
from refinement.services.export_policy import estimate_kept
from refinement.services.export_stream import ExportStream
from refinement.services.exports import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refinement.models import Dataset, Run

MOST_LOOKED_AT = 20_000  # pairs; with more a page would wait, so they are estimated


@dataclass(frozen=True, slots=True)
class LeavingCounts:
    """Rows by file. ``exact``: every pair was looked at; else they are estimates from counts.

    ``left_out``: selected pairs that do not leave, by the reason.
    """

    train: int
    validation: int
    exact: bool
    left_out: dict[str, int] = field(default_factory=dict)
    example: str = ""

    @property
    def rows(self) -> int:
        return self.train + self.validation


def count_leaving(
    *, run: Run | None = None, dataset: Dataset | None = None, options: Mapping[str, Any]
) -> LeavingCounts:
    """Raises ServiceError for options that ``create_export`` would refuse."""
    checked = ExportOptions.from_dict(options)
    dataset = source_of(run, dataset, checked)
    if run and checked.spec:
        kept = checked.include == "kept"
        selected = estimate_kept(run, checked.spec) if kept else run.run_samples.count()
        return _estimate(selected, checked)
    stream = ExportStream(dataset, run, checked, DEFAULT_DB_ALIAS)
    counts = stream.counts()
    selected = counts.kept if checked.include == "kept" else counts.total
    if selected > MOST_LOOKED_AT:
        return _estimate(selected, checked)
    files = [0, 0]
    for leaving in stream.records():
        files[leaving.validation] += 1
    left_out = dict(stream.left_out)
    return LeavingCounts(files[0], files[1], exact=True, left_out=left_out, example=stream.example)


def _estimate(selected: int, options: ExportOptions) -> LeavingCounts:
    rows = selected
    if options.top_percent:
        rows = round(selected * options.top_percent / 100)
    validation = round(rows * options.validation_percent / 100)
    plain = not (
        options.top_percent
        or options.validation_percent
        or options.deduplicate
        or options.target is not None
        or options.policy
    )
    return LeavingCounts(rows - validation, validation, exact=plain)
