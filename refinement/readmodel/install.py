"""Puts the triggers up, and makes what they would have made of the rows that are there already."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from refinement.readmodel import counts, triggers, words
from refinement.readmodel.entries import WORTH_AN_ENTRY, upsert

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

PREFIX = "srt_"


def make_way(*, using: str = "default", plan: Sequence[Any] = (), **_: Any) -> None:
    """Before a ``migrate`` that has something to do: SQLite makes a changed table anew, and refuses
    to name it while triggers of other tables speak of it."""
    if plan and connections[using].vendor == "sqlite":
        _drop(connections[using])


def install(*, using: str = "default", **_: Any) -> None:
    """After a ``migrate``: nothing where all is as it should be, else everything anew."""
    connection = connections[using]
    tables = connection.introspection.table_names()
    if "refinement_queueentry" not in tables:
        return  # migrated to before there was a queue of its own
    wanted = _triggers(connection)
    if set(wanted) <= _present(connection):
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        _drop(connection)
        rebuild(using=using)
        _index_words(connection)
        for statement in wanted.values():
            cursor.execute(statement)


def rebuild(*, using: str = "default", where: str = WORTH_AN_ENTRY) -> None:
    """Make all entries anew and count everything again. Quicker while the triggers are down."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(upsert(where))
        cursor.execute("DELETE FROM refinement_runcount")
        for table in counts.COUNTED:
            cursor.execute(counts.summed({table: 1}, table))


@contextmanager
def without_triggers(*, using: str = "default") -> Iterator[None]:
    """For filling tables by the million: entries, counts and words follow at the end, in one go.

    All in one transaction, so nobody else ever sees, or writes to, a database without triggers.
    """
    connection = connections[using]
    with transaction.atomic(using=using):
        _drop(connection)
        yield
        install(using=using)


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Complete statements by full name. A name ends with a hash of what the trigger does."""
    make = (
        triggers.sqlite_triggers if connection.vendor == "sqlite" else triggers.postgresql_triggers
    )
    found = {}
    for short, statement in make().items():
        digest = hashlib.sha256(statement.encode()).hexdigest()[:8]
        name = f"{PREFIX}{short.removeprefix('refinement_')}_{digest}"
        found[name] = statement.replace("{name}", name)
    return found


def _present(connection: BaseDatabaseWrapper) -> set[str]:
    """Names of our triggers that are up."""
    return {name for name, _ in _present_with_tables(connection)}


def _present_with_tables(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    if connection.vendor == "sqlite":
        listing = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    else:
        listing = (
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal AND pg_table_is_visible(pg_class.oid)"
        )
    with connection.cursor() as cursor:
        cursor.execute(listing)
        return [(name, table) for name, table in cursor.fetchall() if name.startswith(PREFIX)]


def _drop(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        for name, table in _present_with_tables(connection):
            if connection.vendor == "sqlite":
                cursor.execute(f"DROP TRIGGER {name}")
            else:
                cursor.execute(f"DROP TRIGGER {name} ON {table}")
                cursor.execute(f"DROP FUNCTION IF EXISTS {name}()")


def _index_words(connection: BaseDatabaseWrapper) -> None:
    """Make what is missing, and index what came while the triggers were down."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for table in words.TABLES.values():
                cursor.execute(words.sqlite_table(table))
            cursor.execute(words.sqlite_add_candidates())
            cursor.execute(words.sqlite_add_samples())
            return
        kinds = "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)"
        cursor.execute(kinds, [words.CANDIDATES])
        if cursor.fetchone() is None:  # CREATE refuses while checks of keys are due
            cursor.execute(words.postgresql_candidate_index())
        cursor.execute(kinds, [words.SAMPLES])
        found = cursor.fetchone()
        if found is not None and found[0] != "r":  # an index over all samples, of an earlier time
            cursor.execute(f"DROP INDEX {words.SAMPLES}")
        if found is None or found[0] != "r":
            cursor.execute(words.postgresql_sample_table())
        cursor.execute(words.postgresql_add_samples())
        cursor.execute(words.postgresql_sample_index())
