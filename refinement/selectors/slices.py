"""Parts of a run's dataset to compare: by length, by place, by input, by a field of the records."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from django.db import connection
from django.utils.formats import number_format
from django.utils.translation import gettext

from refinement.method.policies.columns import ORIGINAL
from refinement.models import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refinement.models import Run
    from refinement.selectors.run_columns import RunTable

    Bools = NDArray[np.bool_]
    Slice = tuple[str, str, Bools]  # the group's name, the slice's, which rows of the table

MOST_VALUES, LONGEST_VALUE = 12, 40  # of a field that is worth a group of slices; characters
MOST_FIELDS, LOOKED_AT = 4, 500
DATASETS_IN_MEMORY = 4
_fields: OrderedDict[int, dict[str, dict[str, NDArray[np.int64]]]] = OrderedDict()
_fields_lock = threading.Lock()


def slices(run: Run, table: RunTable) -> list[Slice]:
    """Those that hold a pair. Groups with a single slice say nothing and are left out."""
    found: list[Slice] = []
    if len(table) >= 8:
        found += [*_lengths(table), *_tenths(table)]
    found += [*_by_input(run, table), *_by_field(run, table)]
    return [(group, label, where) for group, label, where in found if where.any()]


def forget_fields() -> None:
    """Drop what is in memory: for tests, whose databases use the same ids again."""
    with _fields_lock:
        _fields.clear()


def _lengths(table: RunTable) -> Iterator[Slice]:
    tokens = table.columns.read(ORIGINAL)("response_tokens")
    edges = np.nanquantile(tokens, [0.25, 0.5, 0.75])
    for low, high in pairwise([-math.inf, *edges.tolist(), math.inf]):
        where = (tokens > low) & (tokens <= high)
        yield gettext("length of the original response"), _between(low, high), where


def _between(low: float, high: float) -> str:
    if low == -math.inf:
        return gettext("up to %(high)s tokens") % {"high": f"{high:.0f}"}
    if high == math.inf:
        return gettext("over %(low)s tokens") % {"low": f"{low:.0f}"}
    return gettext("%(low)s–%(high)s tokens") % {"low": f"{low + 1:.0f}", "high": f"{high:.0f}"}


def _tenths(table: RunTable) -> Iterator[Slice]:
    last = int(table.positions.max()) + 1
    edges = [round(last * n / 10) for n in range(11)]
    for low, high in pairwise(edges):
        if high > low:
            where = (table.positions >= low) & (table.positions < high)
            yield gettext("place in the dataset"), f"{_count(low + 1)}–{_count(high)}", where


def _count(number: int) -> str:
    return number_format(number, force_grouping=True)


def _by_input(run: Run, table: RunTable) -> Iterator[Slice]:
    rows = Sample.objects.filter(dataset_id=run.dataset_id).exclude(input="")
    has_input = np.isin(table.positions, list(rows.order_by().values_list("position", flat=True)))
    if has_input.any() and not has_input.all():
        yield gettext("input"), gettext("with an input"), has_input
        yield gettext("input"), gettext("without"), ~has_input


# -- Further fields of the records --------------------------------------------------------------
def _by_field(run: Run, table: RunTable) -> Iterator[Slice]:
    for name, values in _fields_of(run.dataset_id).items():
        for value, positions in values.items():
            yield name, value, np.isin(table.positions, positions)


def _fields_of(dataset_id: int) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Positions by value, of each field with a few short values. A dataset never changes."""
    with _fields_lock:
        known = _fields.get(dataset_id)
    if known is None:
        known = _read_fields(dataset_id)
        with _fields_lock:
            _fields[dataset_id] = known
            while len(_fields) > DATASETS_IN_MEMORY:
                _fields.popitem(last=False)
    return known


def _read_fields(dataset_id: int) -> dict[str, dict[str, NDArray[np.int64]]]:
    """What the first records do not show is not looked for in the others."""
    names: dict[str, None] = {}
    for _, extra in _extras(dataset_id, LOOKED_AT):
        names |= {name: None for name, value in extra.items() if _word(value)}
    found: dict[str, dict[str, list[int]]] = {name: {} for name in names}
    for position, extra in _extras(dataset_id) if names else ():
        for name in list(found):
            value = _word(extra.get(name))
            if value:
                found[name].setdefault(value, []).append(position)
            if len(found[name]) > MOST_VALUES or (extra.get(name) not in (None, "") and not value):
                del found[name]
    telling = {name: values for name, values in found.items() if len(values) > 1}
    return {
        name: {value: np.array(at, dtype=np.int64) for value, at in sorted(telling[name].items())}
        for name in list(telling)[:MOST_FIELDS]
    }


def _word(value: Any) -> str:
    """A value that can name a slice; empty for any other."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value.strip() if isinstance(value, str) and len(value) <= LONGEST_VALUE else ""


def _extras(dataset_id: int, most: int = 2**31) -> Iterator[tuple[int, dict[str, Any]]]:
    """By position. Of a conversation in parts the first alone has the fields, for all of them."""
    statement = (
        "SELECT position, part, extra FROM refinement_sample WHERE dataset_id = %s "
        "ORDER BY position LIMIT %s"
    )
    last: dict[str, Any] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement, [dataset_id, most])
        while rows := cursor.fetchmany(2_000):
            for position, part, extra in rows:
                if not part:
                    found = orjson.loads(extra)
                    last = found if isinstance(found, dict) else {}
                yield position, last
