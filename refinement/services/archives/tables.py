"""What an archive holds: which tables, in which order, and how a row's values are written.

An archive is a zip file. ``manifest.json`` names its version and its tables; ``TABLE.jsonl`` has a
row a line, each a list of the columns that the manifest names; ``files/N`` is the uploaded file of
dataset N. A reference is the place of the row that it means, counted from 0 in that row's table; a
person is a name. So nothing in it depends on where it was written, and the same project gives the
same bytes anywhere.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import BinaryField, DateTimeField, DecimalField, ForeignKey, JSONField, Model

from refinement import models as m
from refinement.models.fields import ExactJSONField
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.db.models import Field

FORMAT = "srt-web project"
VERSION = 1
MANIFEST = "manifest.json"


class ArchiveError(ServiceError):
    """An archive that cannot be read, or that contradicts itself. Nothing of it was kept."""


@dataclass(frozen=True)
class Table:
    """``of``: the way from a row to its project, as a lookup.

    Empty for what belongs to the installation, and is archived where a run or trial refers to it.
    """

    model: type[Model]
    of: str = ""

    @property
    def is_shared(self) -> bool:
        return not self.of

    @property
    def name(self) -> str:
        return str(self.model._meta.model_name)

    @property
    def fields(self) -> list[Field[Any, Any]]:
        """Every column but the id, and but since when an installation has had a model."""
        left_out = {"id", "created_at"} if self.is_shared else {"id"}
        return [field for field in self.model._meta.concrete_fields if field.name not in left_out]


_PAIR = "run_sample__run__project"
# Rows before those that refer to them, where that can be. Left out is what belongs to the
# installation (tokens, webhooks, the audit log), what passes (uploads under way, presence) and what
# is made again from the rest (the queue's entries and counts, exports).
TABLES = (
    Table(m.Endpoint),
    Table(m.Student),
    Table(m.Project, "pk"),
    Table(m.Membership, "project"),
    Table(m.SavedView, "project"),
    Table(m.Dataset, "project"),
    Table(m.RejectedRow, "dataset__project"),
    Table(m.Sample, "dataset__project"),
    Table(m.KeptRecord, "dataset__project"),
    Table(m.GivenRewrite, "dataset__project"),
    Table(m.Trial, "project"),
    Table(m.TrialCall, "trial__project"),
    Table(m.Run, "project"),
    Table(m.PolicyChange, "run__project"),
    Table(m.ReviewPlan, "run__project"),
    Table(m.RunSample, "run__project"),
    Table(m.TeacherCall, _PAIR),
    Table(m.Candidate, _PAIR),
    Table(m.Score, _PAIR),
    Table(m.Embedding, "score__run_sample__run__project"),
    Table(m.BulkAct, "run__project"),
    Table(m.Decision, _PAIR),
    Table(m.BulkItem, "act__run__project"),
    Table(m.Flag, _PAIR),
    Table(m.Comment, _PAIR),
    Table(m.Opinion, _PAIR),
    Table(m.Assignment, "run__project"),
    Table(m.Verdict, _PAIR),
)
BY_MODEL = {table.model: table for table in TABLES}


def target(field: Field[Any, Any]) -> type[Model] | None:
    """The model that a foreign key means."""
    return field.related_model if isinstance(field, ForeignKey) else None


# -- Values --------------------------------------------------------------------------------------
def as_json(field: Field[Any, Any], value: Any) -> Any:
    """A value as JSON has it: the same for every database that it may come from."""
    if value is None:
        return None
    if isinstance(field, DateTimeField):
        return value.astimezone(UTC).isoformat()
    if isinstance(field, DecimalField):
        return f"{value:.{field.decimal_places}f}"
    if isinstance(field, BinaryField):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(field, JSONField):
        return _sorted(value)
    return value


def _sorted(value: Any) -> Any:
    """PostgreSQL keeps objects in an order of its own, and a number of 17 digits as an integer."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) >= 1e16:
        return int(value)
    return value


def from_json(field: Field[Any, Any], value: Any) -> Any:
    """The value of a column. Raises ValueError, in words, where it cannot be one."""
    if value is None:
        if not field.null:
            raise ValueError(f"{field.name} is missing")
        return None
    if isinstance(field, (JSONField, ExactJSONField)):
        return value
    reader = _READERS.get(field.get_internal_type())
    if reader is not None:
        return reader(value)
    kinds = _KINDS.get(field.get_internal_type(), (str,))
    if not isinstance(value, kinds) or (bool in kinds) != isinstance(value, bool):
        raise ValueError(f"{field.name} is {json.dumps(value)[:60]}")
    if field.choices and value not in dict(field.flatchoices) and value != "":
        raise ValueError(f"{field.name} is {json.dumps(value)[:60]}")
    if field.max_length and isinstance(value, str) and len(value) > field.max_length:
        raise ValueError(f"{field.name} is longer than {field.max_length} characters")
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "DateTimeField": datetime.fromisoformat,
    "DecimalField": Decimal,
    "BinaryField": lambda text: base64.b64decode(text, validate=True),
}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "BooleanField": (bool,),
    "FloatField": (float, int),
    "PositiveIntegerField": (int,),
    "PositiveBigIntegerField": (int,),
    "PositiveSmallIntegerField": (int,),
    "SmallIntegerField": (int,),
    "IntegerField": (int,),
    "BigIntegerField": (int,),
}


def settled(table: Table, row: dict[str, Any]) -> None:
    """Change a row that is in the middle of something to one that waits, wherever it is read.

    A run that was running is paused, so that nobody pays for a teacher by reading an archive.
    """
    for name in ("lease_expires_at", "lease_token"):
        if name in row:
            row[name] = None if name == "lease_expires_at" else ""
    if table.model is m.RunSample:
        row |= {"reserved_tokens": 0, "reserved_cost": "0.00000000"}
    wait = _WAITING.get(table.model, {})
    key = "state" if table.model is m.RunSample else "status"
    if row.get(key) in wait:
        row[key] = wait[row[key]]


_WAITING: Mapping[type[Model], Mapping[str, str]] = {
    m.Run: {"running": "paused"},
    m.RunSample: {"leased": "ready"},
    m.Dataset: {"importing": "pending"},
    m.Trial: {"pending": "failed", "running": "failed"},
    m.BulkAct: {"working": "pending", "undoing": "undo_due"},
}
