from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from refinement.models import Export, User
from refinement.selectors import access
from refinement.selectors.access import NoAccess, Role
from tests.review_room import Room, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    room = make_room()
    room.add()
    return room


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("viewer", ["viewer"]),
        ("reviewer", ["viewer", "reviewer"]),
        ("owner", ["viewer", "reviewer", "owner"]),
    ],
)
def test_a_role_includes_the_smaller_ones(who: str, allowed: list[Role], room: Room) -> None:
    user = getattr(room, who)
    export = Export.objects.create(run=room.run)
    for role in access.ROLE_ORDER:
        doors = [
            lambda role=role: access.project_for(user, room.project.pk, at_least=role),
            lambda role=role: access.dataset_for(user, room.run.dataset_id, at_least=role),
            lambda role=role: access.run_for(user, room.run.pk, at_least=role),
            lambda role=role: access.run_sample_for(user, room.pairs[0].pk, at_least=role),
            lambda role=role: access.export_for(user, export.pk, at_least=role),
        ]
        for door in doors:
            if role in allowed:
                assert door().pk
            else:
                with pytest.raises(PermissionDenied, match=f"needs the role of {role}"):
                    door()


def test_a_stranger_learns_nothing_and_being_staff_opens_no_door(room: Room) -> None:
    staff = User.objects.create_user("staff", is_staff=True, is_superuser=True)
    for user in (make_room("Elsewhere").owner, staff, AnonymousUser()):
        for door, number in (
            (access.project_for, room.project.pk),
            (access.dataset_for, room.run.dataset_id),
            (access.run_for, room.run.pk),
            (access.run_sample_for, room.pairs[0].pk),
            (access.export_for, Export.objects.create(run=room.run).pk),
        ):
            for asked in (number, 10**6):
                with pytest.raises(NoAccess):
                    door(user, asked)
        assert access.role_of(user, room.project) is None
    assert issubclass(NoAccess, Http404)
