"""The audit log: who did what, written with the change or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import transaction

from refinement.models import AuditEvent
from refinement.services import audit, projects, runs
from refinement.services.errors import ServiceError
from tests.review_room import Room, make_room

if TYPE_CHECKING:
    from refinement.models import User


@pytest.fixture
def room(db: None) -> Room:
    room = make_room()
    AuditEvent.objects.all().delete()
    return room


def test_an_event_says_who_did_what_to_what_and_from_where(room: Room) -> None:
    actor = audit.Actor(user=room.owner, via="api", address="203.0.113.7")
    with audit.acting(actor):
        runs.pause_run(run=room.run)
    event = AuditEvent.objects.get()
    assert (event.who, event.via, event.address) == (room.owner.username, "api", "203.0.113.7")
    assert (event.kind, event.action) == ("changed", "run.paused")
    assert (event.subject_type, event.subject_id) == ("run", room.run.pk)
    assert event.subject == room.run.name
    assert event.project == room.project
    assert actor.recorded == 1


def test_what_is_refused_or_rolled_back_leaves_no_event(room: Room) -> None:
    with pytest.raises(ServiceError):
        runs.resume_run(run=room.run)
    with transaction.atomic():
        projects.rename_project(project=room.project, name="Other")
        transaction.set_rollback(True)
    assert AuditEvent.objects.count() == 0


def test_names_outlive_people_and_projects(room: Room) -> None:
    projects.rename_project(project=room.project, name="Renamed")
    with audit.acting(audit.Actor(user=room.viewer)):
        audit.record("page.project", room.project)
    name = room.viewer.username
    room.viewer.delete()
    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.user, event.who, event.subject) == (None, name, "Renamed")


def test_an_event_is_written_once(room: Room) -> None:
    audit.record("run.paused", room.run)
    event = AuditEvent.objects.get()
    event.who = "somebody else"
    with pytest.raises(TypeError, match="written once"):
        event.save()


@pytest.mark.parametrize(
    ("action", "kind"),
    [("run.started", "changed"), ("export.asked", "exported"), ("token.made", "administered")],
)
def test_kinds(action: str, kind: str) -> None:
    assert audit.kind_of(action) == kind


def test_outside_of_any_request_it_was_the_command_line(room: Room) -> None:
    person: User = room.owner
    projects.create_project(name="By hand", owner=person)
    event = AuditEvent.objects.get()
    assert (event.via, event.who) == ("command", person.username)
