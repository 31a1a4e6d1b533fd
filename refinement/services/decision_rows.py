"""The statements behind a decision: the pair's row locked, and its pointer moved.

They are written in SQL, as each reviewer runs them with each pair (see ``lease_rows``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from refinement.models import RunSample

if TYPE_CHECKING:
    from refinement.models import Decision

_PAIRS = RunSample._meta.db_table
_LOCKED = ("id", "run_id", "sample_id", "position", "stage", "state", "decision_id", "opinions")
_LOCK = f"SELECT {', '.join(_LOCKED)} FROM {_PAIRS} WHERE id = %s"


def lock(run_sample: RunSample) -> RunSample:
    """The row, fresh and locked (SQLite needs no row lock: its write transactions queue).

    Without joins: after waiting for a lock PostgreSQL reads the row anew, but what was joined to
    it as of before the wait. The decision is read by a later statement, and so are further columns.
    """
    for_update = " FOR UPDATE" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK + for_update, [run_sample.pk])
        row = cursor.fetchone()
    if row is None:
        raise RunSample.DoesNotExist
    return RunSample.from_db(connection.alias, _LOCKED, row)


def point(run_sample: RunSample, decision: Decision | None) -> None:
    """Move the pointer alone: a worker may be writing the row's other columns."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_PAIRS} SET decision_id = %s WHERE id = %s",
            [decision.pk if decision else None, run_sample.pk],
        )
