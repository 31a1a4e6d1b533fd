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

    Ids begin behind the last one that there is, or with ``first_id``. Columns that are not named
    get the field's default. Nothing is validated, no signal is sent.
    """

    LOT = 20_000

    def __init__(self, model: type[Model], names: str, *, first_id: int | None = None) -> None:
        self.model = model
        fields = model._meta.concrete_fields
        self.names = ["id", *names.split()]
        rest = [field for field in fields if field.attname not in self.names]
        self.rest = [_default(field) for field in rest]
        self.columns = [*self.names, *(field.attname for field in rest)]
        if first_id is None:
            first_id = 1 + int(QuerySet(model).aggregate(top=Max("pk"))["top"] or 0)
        self.last_id = first_id - 1
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


def reserve_ids(model: type[Model], count: int) -> int:
    """The first of so many ids that nobody else will be given.

    On SQLite only for as long as the transaction is open that this is called in.
    """
    table = model._meta.db_table
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
            last = cursor.fetchone()
        return 1 + (int(last[0]) if last else 0)
    with transaction.atomic(), connection.cursor() as cursor:
        # Nobody takes an id between the two statements.
        name = connection.ops.quote_name(table)
        cursor.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
        first = int(cursor.fetchone()[0])
        if count > 1:
            statement = "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)"
            cursor.execute(statement, [table, first + count - 1])
    return first


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
