"""Pairs by their ids, in one parameter, however many: the database knows that it is given ids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL

if TYPE_CHECKING:
    from collections.abc import Iterable


def by_ids(ids: Iterable[int], column: str = "pk") -> Q:
    """The condition that a run sample is one of these; of its rows elsewhere, by their column."""
    if connection.vendor == "postgresql":
        given = "SELECT value::bigint FROM json_array_elements_text(%s::json)"
    else:
        given = "SELECT value FROM json_each(%s)"
    return Q(**{f"{column}__in": RawSQL(given, [json.dumps(list(ids))])})


def one_of(column: str, ids: Iterable[int]) -> tuple[str, Any]:
    """The same in SQL by hand: its text, which does not change with their number, and its value."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)", list(ids)
    return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(ids))  # noqa: S608
