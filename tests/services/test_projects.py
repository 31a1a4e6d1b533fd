from __future__ import annotations

import pytest

from refinement.models import Membership, User
from refinement.services.errors import ServiceError
from refinement.services.projects import (
    add_member,
    change_role,
    create_project,
    remove_member,
    rename_project,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("olga")


@pytest.fixture
def other() -> User:
    return User.objects.create_user("otto")


def test_who_creates_a_project_owns_it(owner: User) -> None:
    project = create_project(name="  Law ", owner=owner)
    assert project.name == "Law"
    assert Membership.objects.get(project=project).role == "owner"


@pytest.mark.parametrize("name", ["", "  ", "x" * 121])
def test_a_project_needs_a_name_that_fits(name: str, owner: User) -> None:
    with pytest.raises(ServiceError, match="name"):
        create_project(name=name, owner=owner)
    with pytest.raises(ServiceError, match="name"):
        rename_project(project=create_project(name="Law", owner=owner), name=name)


def test_nobody_is_a_member_twice(owner: User, other: User) -> None:
    project = create_project(name="Law", owner=owner)
    add_member(project=project, user=other, role="viewer")
    with pytest.raises(ServiceError, match="otto is a member already, as viewer"):
        add_member(project=project, user=other, role="owner")
    assert project.memberships.get(user=other).role == "viewer"


def test_an_unknown_role_is_refused(owner: User, other: User) -> None:
    project = create_project(name="Law", owner=owner)
    with pytest.raises(ServiceError, match="no role"):
        add_member(project=project, user=other, role="king")
    with pytest.raises(ServiceError, match="no role"):
        change_role(membership=project.memberships.get(user=owner), role="")


def test_a_project_always_keeps_an_owner(owner: User, other: User) -> None:
    project = create_project(name="Law", owner=owner)
    first = project.memberships.get(user=owner)
    second = add_member(project=project, user=other, role="viewer")
    for change in (
        lambda: remove_member(membership=first),
        lambda: change_role(membership=first, role="reviewer"),
    ):
        with pytest.raises(ServiceError, match="last owner"):
            change()
    change_role(membership=second, role="owner")
    remove_member(membership=first)
    assert [m.user for m in project.memberships.all()] == [other]


def test_a_stale_copy_of_a_membership_does_not_fool_the_check(owner: User, other: User) -> None:
    """Two owners who leave at once hold copies from before: the second must stay."""
    project = create_project(name="Law", owner=owner)
    add_member(project=project, user=other, role="owner")
    first, second = project.memberships.order_by("pk")
    remove_member(membership=first)
    with pytest.raises(ServiceError, match="last owner"):
        remove_member(membership=second)
