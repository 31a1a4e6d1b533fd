"""Rows by the million, straight into a table: COPY on PostgreSQL, ``executemany`` on SQLite."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.core.management.color import no_style
from django.db import DatabaseError, connection, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Field, Model


class Rows:
    """Gathers rows of one model, with ids of its own counting, and writes them in lots.

    Columns that are not named get the field's default. Nothing is validated, no signal is sent.
    """

    LOT = 20_000

    def __init__(self, model: type[Model], names: str) -> None:
        self.model = model
        fields = model._meta.concrete_fields
        self.names = ["id", *names.split()]
        rest = [field for field in fields if field.attname not in self.names]
        self.rest = [_default(field) for field in rest]
        self.columns = [*self.names, *(field.attname for field in rest)]
        top = QuerySet(model).aggregate(top=Max("pk"))["top"]
        self.last_id = int(top or 0)
        self.waiting: list[tuple[Any, ...]] = []

    def add(self, *values: Any) -> int:
        """One row, in the order of the names given; its id."""
        self.last_id += 1
        self.waiting.append((self.last_id, *values, *self.rest))
        if len(self.waiting) >= self.LOT:
            self.write()
        return self.last_id

    def write(self) -> None:
        if not self.waiting:
            return
        table = connection.ops.quote_name(self.model._meta.db_table)
        columns = ", ".join(connection.ops.quote_name(name) for name in self.columns)
        rows, self.waiting = self.waiting, []
        if connection.vendor == "postgresql":
            _copy(f"COPY {table} ({columns}) FROM STDIN", rows)
            return
        places = ", ".join(["%s"] * len(self.columns))
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)  # noqa: S608 - names from the model


def end_of_ids(models: Iterable[type[Model]]) -> None:
    """Let the database go on counting behind the ids that were given."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(models)):
            cursor.execute(statement)


def _copy(statement: str, rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def unchecked() -> Iterator[None]:
    """Without a check of each foreign key, where the database lets us: the rows are ours."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        if connection.vendor == "postgresql":
            with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = origin")


def _default(field: Field[Any, Any]) -> Any:
    stamped = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    value = timezone.now() if stamped else field.get_default()
    return field.get_db_prep_save(value, connection)
