"""A statement that is put together once gives each caller the rows of its own ids."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from refinement.models import Membership, RunSample
from refinement.selectors.kept_statements import kept_statement
from tests.review_room import Room, make_room

if TYPE_CHECKING:
    from django.db.models import QuerySet

builds = 0


@kept_statement
def members(project_id: int, user_id: int) -> QuerySet[Membership]:
    global builds
    builds += 1
    return Membership.objects.filter(user_id=user_id, project_id=project_id).select_related("user")


@kept_statement
def pairs_before(run_id: int, run_sample_id: int) -> QuerySet[RunSample, Any]:
    rows = RunSample.objects.filter(run_id=run_id, pk__lt=run_sample_id)
    return rows.order_by("-position").values_list("position", "state", "updated_at")[:2]


@pytest.fixture
def room(db: None) -> Room:
    room = make_room()
    room.fill(4)
    return room


def test_each_call_has_the_rows_of_its_ids(room: Room) -> None:
    for user in (room.owner, room.reviewer, room.viewer, room.owner):
        with CaptureQueriesContext(connection) as asked:
            (found,) = members(room.project.pk, user.pk)
            assert (found.user, found.project_id) == (user, room.project.pk)
        assert len(asked) == 1, "the user was read along"
    assert members(room.project.pk, 0) == []
    assert members(room.owner.pk + 100, room.owner.pk) == []
    assert builds == 1


def test_it_is_what_the_queryset_gives(room: Room) -> None:
    for pair in room.pairs:
        rows = RunSample.objects.filter(run=room.run, pk__lt=pair.pk)
        plain = rows.order_by("-position").values_list("position", "state", "updated_at")[:2]
        assert pairs_before(room.run.pk, pair.pk) == list(plain)


@pytest.mark.django_db(transaction=True)
def test_threads_have_connections_of_their_own(transactional_db: None) -> None:
    room = make_room()
    found: list[str] = []

    def look(user_id: int) -> None:
        try:
            found.extend(m.role for _ in range(20) for m in members(room.project.pk, user_id))
        finally:
            connection.close()

    threads = [
        threading.Thread(target=look, args=[user.pk]) for user in (room.owner, room.reviewer)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["owner"] * 20 + ["reviewer"] * 20
