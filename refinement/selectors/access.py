"""Who may see and do what. Every screen and the API go through one of these doors.

A stranger gets ``NoAccess`` (a 404: not even the existence of a project leaks), a member whose role
is too small gets ``PermissionDenied`` (a 403 that says which role is needed). Being staff opens no
project: staff may register models, and see the projects of which they are members.
"""

from typing import TYPE_CHECKING, Literal

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext

from refinement.models import Dataset, Export, Membership, Project, Run, RunSample
from refinement.selectors.kept_statements import kept_statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import AnonymousUser
    from django.db.models import QuerySet

    from refinement.models import User

Role = Literal["viewer", "reviewer", "owner"]
ROLE_ORDER: tuple[Role, ...] = ("viewer", "reviewer", "owner")


class NoAccess(Http404):
    """It does not exist, or not for this person."""


@kept_statement
def _roles(project_id: int, user_id: int) -> "QuerySet[Membership, str]":
    found = Membership.objects.filter(project_id=project_id, user_id=user_id)
    return found.values_list("role", flat=True)


def role_of(user: "User | AnonymousUser", project: Project) -> Role | None:
    """The role of a person in a project; ``None`` for a stranger."""
    if not user.is_authenticated:
        return None
    if project.role_known and project.role_known[0] == user.pk:
        role: str | None = project.role_known[1]
    else:
        role = next(iter(_roles(project.pk, user.pk)), None)
    return next((known for known in ROLE_ORDER if known == role), None)


def project_for(
    user: "User | AnonymousUser", project_id: int, *, at_least: Role = "viewer"
) -> Project:
    """Raises NoAccess for a stranger, PermissionDenied for a member with too small a role."""
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise NoAccess(gettext("No such project."))
    _require(user, project, at_least)
    return project


def dataset_for(
    user: "User | AnonymousUser", dataset_id: int, *, at_least: Role = "viewer"
) -> Dataset:
    """A dataset with its project. Raises like ``project_for``."""
    dataset = Dataset.objects.select_related("project").filter(pk=dataset_id).first()
    if dataset is None:
        raise NoAccess(gettext("No such dataset."))
    _require(user, dataset.project, at_least)
    return dataset


def run_for(user: "User | AnonymousUser", run_id: int, *, at_least: Role = "viewer") -> Run:
    """A run with its project, dataset, teacher and student. Raises like ``project_for``."""
    run = next(iter(_runs(run_id)), None)
    if run is None:
        raise NoAccess(gettext("No such run."))
    _require(user, run.project, at_least)
    return run


@kept_statement
def _runs(run_id: int) -> "QuerySet[Run]":
    return Run.objects.select_related("project", "dataset", "teacher", "student").filter(pk=run_id)


def run_sample_for(
    user: "User | AnonymousUser",
    run_sample_id: int,
    *,
    at_least: Role = "viewer",
    read: "Callable[[int], RunSample | None] | None" = None,
) -> RunSample:
    """One sample of a run, with its run, project and text. Raises like ``project_for``.

    ``read``: to read it with more than that, as by ``selectors.review.whole_pair``.
    """
    run_sample = (read or _pair)(run_sample_id)
    if run_sample is None:
        raise NoAccess(gettext("No such sample."))
    _require(user, run_sample.run.project, at_least)
    return run_sample


def _pair(run_sample_id: int) -> RunSample | None:
    return next(iter(_pairs(run_sample_id)), None)


@kept_statement
def _pairs(run_sample_id: int) -> "QuerySet[RunSample]":
    pairs = RunSample.objects.select_related("run__project", "run__review_plan", "sample")
    return pairs.filter(pk=run_sample_id)


def export_for(
    user: "User | AnonymousUser", export_id: int, *, at_least: Role = "viewer"
) -> Export:
    """An export with its run and project. Raises like ``project_for``."""
    export = (
        Export.objects.select_related("run__project", "run__dataset", "dataset__project")
        .filter(pk=export_id)
        .first()
    )
    if export is None:
        raise NoAccess(gettext("No such export."))
    _require(user, export.project, at_least)
    return export


def _require(user: "User | AnonymousUser", project: Project, at_least: Role) -> None:
    role = role_of(user, project)
    if role is None or user.pk is None:
        raise NoAccess(gettext("Not a member of this project."))
    project.role_known = (user.pk, role)
    if ROLE_ORDER.index(role) < ROLE_ORDER.index(at_least):
        raise PermissionDenied(
            gettext(
                "This needs the role of %(needed)s in “%(project)s”; yours is %(yours)s. Ask an "
                "owner of the project to change it."
            )
            % {"needed": gettext(at_least), "project": project.name, "yours": gettext(role)}
        )
