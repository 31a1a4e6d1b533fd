"""Statements that PostgreSQL plans once for a connection; SQLite takes them as any others."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from psycopg import IsolationLevel

from refinement.models import RunCount, RunSample
from refinement.selectors.planned import planned
from tests.review_room import Room, make_room

TABLE = RunSample._meta.db_table
POSITION = f"SELECT position FROM {TABLE} WHERE id = %s"  # noqa: S608
TAKEN = f"INSERT INTO {TABLE} (id) VALUES (%s)"  # noqa: S608
PLANNED = "SELECT statement FROM pg_prepared_statements"

on_postgresql = pytest.mark.skipif(connection.vendor == "sqlite", reason="PostgreSQL's plans")


@pytest.fixture
def room(db: None) -> Room:
    room = make_room()
    room.fill(3)
    return room


def position_of(pk: int) -> int:
    ((position,),) = planned(POSITION, [pk])
    return int(position)


def test_it_is_a_statement_as_any_other(room: Room) -> None:
    with CaptureQueriesContext(connection) as logged:
        assert position_of(room.pairs[2].pk) == 2
    (told,) = logged
    assert str(room.pairs[2].pk) in told["sql"], "with its value, and held to a number like others"
    with pytest.raises(IntegrityError), transaction.atomic():
        planned(TAKEN, [room.pairs[0].pk])
    assert position_of(room.pairs[1].pk) == 1


@on_postgresql
def test_it_is_planned_once_and_all_else_not_at_all(room: Room) -> None:
    once = f"{POSITION} AND position >= 0"
    for pair in room.pairs:
        assert planned(once, [pair.pk]) == [(pair.position,)]
        assert RunSample.objects.get(pk=pair.pk, position=pair.position) == pair
    with connection.cursor() as cursor:
        cursor.execute(PLANNED)
        kept = [statement for (statement,) in cursor.fetchall()]
    assert kept.count(once.replace("%s", "$1")) == 1
    assert not [one for one in kept if '"position" = $' in one]


def test_numbers_of_each_size_are_taken_and_a_sign_is_a_sign(room: Room) -> None:
    for number in (1, 2**14, 2**30, 2**62, None):
        found = planned(f"{POSITION} AND id + 0 = %s", [number, number])
        assert found == [(p.position,) for p in room.pairs if p.pk == number]
    assert planned("SELECT 7 %% 4, %s", ["%s and 100 %"]) == [(3, "%s and 100 %")]


@on_postgresql
def test_the_server_keeps_no_more_than_so_many(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refinement.selectors.prepared.MOST_PLANS", 3)
    for number in (*range(7), *range(7)):
        assert planned(f"{POSITION} AND {number} = {number}", [room.pairs[1].pk]) == [(1,)]
        with connection.cursor() as plain:
            plain.execute(PLANNED)
            assert 1 <= len(plain.fetchall()) <= 3


@on_postgresql
def test_a_statement_that_cannot_be_planned_says_why_and_is_tried_anew(room: Room) -> None:
    for _ in range(2):
        with pytest.raises(DatabaseError, match="nowhere"), transaction.atomic():
            planned("SELECT %s FROM nowhere", [1])
    assert position_of(room.pairs[1].pk) == 1


@pytest.mark.django_db(transaction=True)
def test_what_it_begins_is_rolled_back() -> None:
    rows = "INSERT INTO refinement_runcount (run_id, key, n, tokens_before, tokens_after)"
    ours = RunCount.objects.filter(key="a key")  # rows of other modules may have left counts behind
    with transaction.atomic():
        assert planned(f"{rows} VALUES (%s, %s, %s, %s, %s)", [1, "a key", 1, 0, 0]) == []
        assert ours.exists()
        transaction.set_rollback(True)
    assert not ours.exists()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_it_begins_as_the_connection_is_told_to() -> None:
    connection.ensure_connection()
    connection.connection.isolation_level = IsolationLevel.REPEATABLE_READ
    with transaction.atomic():
        told = planned("SELECT current_setting(%s)", ["transaction_isolation"])
        assert told == [("repeatable read",)]
    connection.close()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_server_that_went_away_is_said_and_found_again() -> None:
    asked = "SELECT pg_backend_pid(), %s"
    before = planned(asked, [1])
    with pytest.raises(OperationalError):
        planned("SELECT pg_terminate_backend(pg_backend_pid()), %s", [1])
    with pytest.raises(OperationalError):
        planned(asked, [1])
    connection.close_if_unusable_or_obsolete()
    assert planned(asked, [1]) != before


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_plan_is_kept_whatever_it_is_asked_for() -> None:
    """PostgreSQL would plan it anew at each call: known values look a little cheaper to it."""
    asked = (
        "SELECT * FROM (SELECT position FROM refinement_queueentry WHERE run_id = %s AND cell = 1 "
        "AND position > %s ORDER BY position LIMIT 9) a UNION ALL SELECT * FROM (SELECT position "
        "FROM refinement_queueentry WHERE run_id = %s AND cell = 2 AND position > %s "
        "ORDER BY position LIMIT 9) b ORDER BY 1 LIMIT 9"
    )
    connection.close()
    for number in range(9):
        planned(asked, [number, number, number, number])
    with connection.cursor() as cursor:
        cursor.execute("SELECT generic_plans, custom_plans FROM pg_prepared_statements")
        assert cursor.fetchall() == [(9, 0)]


@pytest.mark.django_db(transaction=True)
def test_who_wraps_statements_sees_them() -> None:
    seen = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        planned(POSITION, [1])
    assert seen == [POSITION]
