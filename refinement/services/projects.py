"""Projects and the people in them. A project always keeps an owner."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Membership, Project
from refinement.services import audit
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from refinement.models import User


@transaction.atomic
def create_project(*, name: str, owner: "User") -> Project:
    """Raises ServiceError for an empty name."""
    project = Project.objects.create(name=_checked_name(name))
    Membership.objects.create(project=project, user=owner, role=Membership.Role.OWNER)
    audit.record("project.created", project, user=owner)
    return project


@transaction.atomic
def rename_project(*, project: Project, name: str) -> Project:
    """Raises ServiceError for an empty name."""
    before, project.name = project.name, _checked_name(name)
    project.save(update_fields=["name"])
    audit.record("project.renamed", project, before=before)
    return project


@transaction.atomic
def add_member(*, project: Project, user: "User", role: str) -> Membership:
    """Add a person. Raises ServiceError if they are a member already or the role is unknown."""
    _check_role(role)
    membership, created = Membership.objects.get_or_create(
        project=project, user=user, defaults={"role": role}
    )
    if not created:
        raise ServiceError(
            gettext("%(user)s is a member already, as %(role)s. Change the role in the list.")
            % {"user": user, "role": membership.role}
        )
    audit.record("member.added", project, member=user.username, role=role)
    return membership


@transaction.atomic
def change_role(*, membership: Membership, role: str) -> Membership:
    """Raises ServiceError if this would leave the project without an owner."""
    _check_role(role)
    membership = _locked(membership)
    if role != Membership.Role.OWNER:
        _check_not_last_owner(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record(
        "member.role", membership.project, member=membership.user.username, before=before, role=role
    )
    return membership


@transaction.atomic
def remove_member(*, membership: Membership) -> None:
    """Raises ServiceError if this would leave the project without an owner."""
    membership = _locked(membership)
    _check_not_last_owner(membership)
    membership.delete()
    audit.record("member.removed", membership.project, member=membership.user.username)


def _locked(membership: Membership) -> Membership:
    """Locks the project's row, so that two owners leaving at once are seen one after the other."""
    Project.objects.select_for_update().get(pk=membership.project_id)
    return Membership.objects.select_related("project", "user").get(pk=membership.pk)


def _check_not_last_owner(membership: Membership) -> None:
    if membership.role != Membership.Role.OWNER:
        return
    others = membership.project.memberships.filter(role=Membership.Role.OWNER).exclude(
        pk=membership.pk
    )
    if not others.exists():
        raise ServiceError(
            gettext("%(user)s is the last owner of “%(name)s”. Make somebody else an owner first.")
            % {"user": membership.user, "name": membership.project.name}
        )


def _check_role(role: str) -> None:
    if role not in Membership.Role.values:
        raise ServiceError(
            gettext("“%(role)s” is no role: choose owner, reviewer or viewer.") % {"role": role}
        )


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise ServiceError(gettext("Give the project a name."))
    if len(name) > 120:
        raise ServiceError(gettext("A project's name may have 120 characters at most."))
    return name
