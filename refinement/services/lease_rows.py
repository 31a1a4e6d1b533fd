"""The statements behind review leases.

They are written in SQL, as each reviewer runs them with each pair: Django takes several times
longer to put such a statement together than a database to run it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from refinement.models import ReviewLease, RunSample
from refinement.selectors.planned import planned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_LEASES = ReviewLease._meta.db_table
_PAIRS = RunSample._meta.db_table
_OTHER_PAIRS = "l.run_id = %s AND l.user_id = %s AND l.run_sample_id <> %s"


def first_free(
    found: Sequence[int], *, user_id: int, reviewers_per_pair: int, ahead_bars: bool
) -> tuple[int, int] | None:
    """The first of ``found`` that nobody decided or holds: its id and its number of opinions.

    It is locked until the transaction ends, and what another has locked is passed over. SQLite has
    one writer at a time, and that is this one.
    """
    held = _held("p.id", ahead_counts=ahead_bars)
    given, lock = "json_each(%s) AS f", ""
    ids: Any = json.dumps(list(found))
    if connection.vendor == "postgresql":
        given, ids = "unnest(%s::bigint[]) WITH ORDINALITY AS f (value, key)", list(found)
        lock = "FOR UPDATE OF p SKIP LOCKED"
    rows = planned(
        f"SELECT p.id, p.opinions FROM {given} JOIN {_PAIRS} p ON p.id = f.value "
        f"WHERE p.decision_id IS NULL AND {held} < %s - p.opinions "
        f"ORDER BY f.key LIMIT 1 {lock}",
        [ids, user_id, _at(timezone.now()), reviewers_per_pair],
    )
    return rows[0] if rows else None


def put(
    *,
    run_id: int,
    run_sample_id: int,
    user_id: int,
    expires_at: datetime,
    ahead: bool,
    room_for: int | None = None,
) -> int | None:
    """Write a person's lease of a pair, or renew it; how many others of the run they have.

    ``room_for``: not where as many others have the pair already. ``None``: it was not written.
    """
    row = [run_id, run_sample_id, user_id, _at(expires_at), ahead]
    free, values = "1 = 1", []  # SQLite wants a WHERE between SELECT and ON CONFLICT
    if room_for is not None:
        free = f"{_held('%s', ahead_counts=True)} < %s"
        values = [run_sample_id, user_id, _at(timezone.now()), room_for]
    written = planned(
        f"INSERT INTO {_LEASES} (run_id, run_sample_id, user_id, expires_at, ahead) "
        f"SELECT %s, %s, %s, %s, %s WHERE {free} "
        "ON CONFLICT (run_sample_id, user_id) DO UPDATE "
        "SET expires_at = excluded.expires_at, ahead = excluded.ahead "
        f"RETURNING (SELECT count(*) FROM {_LEASES} l WHERE {_OTHER_PAIRS})",
        [*row, *values, run_id, user_id, run_sample_id],
    )
    return int(written[0][0]) if written else None


def end_oldest(*, run_id: int, run_sample_id: int, user_id: int, left: int) -> None:
    """End all but the latest of a person's leases of other pairs of the run."""
    planned(
        f"DELETE FROM {_LEASES} WHERE id IN (SELECT id FROM {_LEASES} l WHERE {_OTHER_PAIRS} "
        "ORDER BY expires_at DESC, id DESC LIMIT 1000 OFFSET %s)",
        [run_id, user_id, run_sample_id, left],
    )


def end_ahead_of_others(*, run_sample_id: int, user_id: int) -> None:
    """Who only fetched the pair ahead loses it."""
    planned(
        f"DELETE FROM {_LEASES} WHERE run_sample_id = %s AND user_id <> %s AND ahead",
        [run_sample_id, user_id],
    )


def end(*, run_sample_id: int, user_id: int) -> None:
    planned(
        f"DELETE FROM {_LEASES} WHERE run_sample_id = %s AND user_id = %s",
        [run_sample_id, user_id],
    )


def _held(pair: str, *, ahead_counts: bool) -> str:
    """How many others have a pair; takes the person's id and the present time."""
    open_only = "" if ahead_counts else " AND NOT l.ahead"
    return (
        f"(SELECT count(*) FROM {_LEASES} l WHERE l.run_sample_id = {pair} "
        f"AND l.user_id <> %s AND l.expires_at > %s{open_only})"
    )


def _at(moment: datetime) -> Any:
    """A moment as the database takes it."""
    return connection.ops.adapt_datetimefield_value(moment)
