"""Before an import: what a stored file seems to be, how it would be read, its first records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from refinement.formats.guess import Look, look
from refinement.formats.registry import FORMATS, Kept, Record, Rejected, read_raw
from refinement.formats.shape import EVERY, LAST, Parts, Shape
from refinement.formats.shapes import shape_of
from refinement.selectors.datasets import earlier_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refinement.models import Dataset

SHOWN = 5  # records


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file would be read. ``like``: an earlier dataset that the mapping comes from."""

    format: str
    mapping: dict[str, str]
    turns: str
    like: Dataset | None = None


def look_into(dataset: Dataset) -> Look:
    """Raises FormatError where the file cannot be read, OSError where it is gone."""
    return look(
        Path(dataset.file.path),
        record_limit=settings.RECORD_LIMIT_BYTES,
        size_limit=settings.UPLOAD_LIMIT_BYTES,
    )


def plan_of(
    dataset: Dataset,
    found: Look,
    *,
    chosen: str = "",
    mapping: Mapping[str, str] | None = None,
    turns: str = "",
) -> Plan:
    """What was found, unless something else is ``chosen``: a format, and with it a mapping.

    Without a ``mapping`` the chosen format gets what is usual for it.
    """
    turns = turns or dataset.options.get("turns", LAST)
    turns = turns if turns in {LAST, EVERY} else LAST
    if chosen in FORMATS:
        return Plan(chosen, _usual(chosen, found) if mapping is None else dict(mapping), turns)
    if dataset.format in FORMATS:  # as it was checked
        return Plan(dataset.format, dataset.mapping, turns)
    earlier = earlier_mapping(dataset, found.places)
    name = found.format or "fields"
    if earlier is not None and earlier.mapping != _defaults(name, found.mapping):
        return Plan(earlier.format, earlier.mapping, earlier.options.get("turns", LAST), earlier)
    return Plan(name, _defaults(name, found.mapping), turns)


def first_rows(found: Look, plan: Plan) -> list[dict[str, Any]]:
    """The first records as they would go in. An incomplete mapping refuses all of them.

    Each has its ``line``, and ``pair``, ``rewrites`` and ``others``; or ``kept`` or ``refused``
    with the reason, and an ``excerpt``.
    """
    mapping = {field: plan.mapping.get(field, "") for field in FORMATS[plan.format].fields}
    shape = shape_of(plan.format, mapping, turns=plan.turns)
    rows: list[dict[str, Any]] = []
    for raw in found.raws:
        rows += [_row(shape, item) for item in read_raw(shape, raw)]
        if len(rows) >= SHOWN:
            break
    return rows[:SHOWN]


def _usual(name: str, found: Look) -> dict[str, str]:
    usual = {k: v for k, v in found.mapping.items() if name in (found.format, "fields")}
    return {k: v for k, v in _defaults(name, usual).items() if v}


def _defaults(name: str, mapping: Mapping[str, str]) -> dict[str, str]:
    return dict.fromkeys(FORMATS[name].defaults, "") | shape_of(name, mapping).mapping


def _row(shape: Shape, item: Record | Kept | Rejected) -> dict[str, Any]:
    if isinstance(item, Record):
        others = shape.others(Parts(item.pair, item.extra, item.layout))
        return {
            "line": item.line,
            "pair": item.pair,
            "rewrites": item.rewrites,
            "others": ", ".join(list(others)[:8]),
        }
    if isinstance(item, Kept):
        text = json.dumps(item.record, ensure_ascii=False)[:400]
        return {"line": item.line, "kept": item.reason, "excerpt": text}
    return {"line": item.line, "refused": item.reason, "excerpt": item.excerpt}
