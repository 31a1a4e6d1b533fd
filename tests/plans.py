"""How the database means to run a statement."""

from django.db import connection


def plan_of(statement: str) -> str:
    """The steps of its plan, a line each. ``statement`` is whole, as it was captured."""
    prefix = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        cursor.execute(prefix + statement.replace("%", "%%"), [])
        return "\n".join(str(row[-1]) for row in cursor.fetchall())
