"""A new row by a statement that is put together once.

``save()`` puts its INSERT together anew for each object, which takes longer than to send it and to
store the row. For what is written with every decision of every reviewer.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

from refinement.selectors.planned import planned

if TYPE_CHECKING:
    from django.db.models import Field, Model


def insert(row: Model) -> None:
    """Store a new object as ``save()`` would, and give it its id. No signal is sent."""
    statement, fields = _statement(type(row))
    mine = connections[DEFAULT_DB_ALIAS]
    values = [field.get_db_prep_save(field.pre_save(row, add=True), mine) for field in fields]
    ((row.pk,),) = planned(statement, values)
    row._state.adding, row._state.db = False, mine.alias  # noqa: SLF001 - as save() does


@cache
def _statement(model: type[Model]) -> tuple[str, list[Field[Any, Any]]]:
    """The same for both databases: each returns what it inserted."""
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    names = ", ".join(str(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    table = model._meta.db_table
    return f"INSERT INTO {table} ({names}) VALUES ({places}) RETURNING id", fields
