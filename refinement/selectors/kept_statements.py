"""Queries whose statement Django puts together once, and not anew at each call.

For what every page of the review room asks: to put such a statement together takes longer than to
run it. The query stays one of the models; what it is asked for are ids, given when it is run.
"""

from __future__ import annotations

import copy
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.query import FlatValuesListIterable

from refinement.selectors.planned import planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.db.models.sql.compiler import SQLCompiler

_STAND_IN = -9_007_199_254_000  # less a number: stands for an id, and is like none

Row = TypeVar("Row")


def kept_statement(build: Callable[..., QuerySet[Any, Row]]) -> Callable[..., list[Row]]:
    """``build`` makes a queryset from ids. It is called once, with other numbers in their place.

    What is returned takes ids, runs the statement for them, and gives the rows as the queryset
    would. Every id must be one: for ``None`` the statement would be another.
    """

    @cache
    def compiled(count: int) -> tuple[QuerySet[Any, Row], SQLCompiler, Any, str, tuple[Any, ...]]:
        rows = build(*(_STAND_IN - place for place in range(count)))
        compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, parameters = compiler.as_sql()
        if compiler.has_extra_select:
            raise TypeError("it is ordered by what it does not select, which rows would then have")
        converters = compiler.get_converters([column for column, *_ in compiler.select or ()])
        return rows, compiler, converters, sql, tuple(parameters)

    @wraps(build)
    def run(*ids: int) -> list[Row]:
        rows, compiler, converters, sql, parameters = compiled(len(ids))
        given = {_STAND_IN - place: pk for place, pk in enumerate(ids)}
        values = tuple(given.get(value, value) for value in parameters)
        found = planned(sql, values)
        if not found or (rows._iterable_class is FlatValuesListIterable and not converters):  # noqa: SLF001
            return [value for (value,) in found]
        mine = copy.copy(compiler)
        mine.connection = connections[DEFAULT_DB_ALIAS]  # each thread has its own
        mine.get_converters = lambda _: converters  # type: ignore[method-assign, assignment]
        mine.execute_sql = lambda *_, **__: [found]  # type: ignore[method-assign, assignment]
        asked = rows.all()
        asked.query.get_compiler = lambda *_, **__: mine  # type: ignore[method-assign]
        return list(asked)

    return run
