"""Statements that PostgreSQL plans once for a connection; SQLite takes them as any others."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from refinement.models import RunSample
from refinement.selectors.planned import planned_cursor
from tests.review_room import Room, make_room

TABLE = RunSample._meta.db_table
POSITION = f"SELECT position FROM {TABLE} WHERE id = %s"  # noqa: S608
TAKEN = f"INSERT INTO {TABLE} (id) VALUES (%s)"  # noqa: S608
PLANS = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT position%'"


@pytest.fixture
def room(db: None) -> Room:
    room = make_room()
    room.fill(3)
    return room


def position_of(pk: int) -> int:
    with planned_cursor() as cursor:
        cursor.execute(POSITION, [pk])
        return int(cursor.fetchone()[0])


def plans() -> int:
    with connection.cursor() as cursor:
        cursor.execute(PLANS)
        return int(cursor.fetchone()[0])


def test_it_is_a_statement_as_any_other(room: Room) -> None:
    with CaptureQueriesContext(connection) as logged:
        assert position_of(room.pairs[2].pk) == 2
    (told,) = logged
    assert str(room.pairs[2].pk) in told["sql"], "with its value, and held to a number like others"
    with pytest.raises(IntegrityError), transaction.atomic(), planned_cursor() as cursor:
        cursor.execute(TAKEN, [room.pairs[0].pk])
    assert position_of(room.pairs[1].pk) == 1


@pytest.mark.skipif(connection.vendor == "sqlite", reason="PostgreSQL's plans")
def test_it_is_planned_once_and_all_else_not_at_all(room: Room) -> None:
    before = plans()
    for pair in room.pairs:
        position_of(pair.pk)
        assert RunSample.objects.get(pk=pair.pk, position=pair.position) == pair
    assert plans() == before + 1
