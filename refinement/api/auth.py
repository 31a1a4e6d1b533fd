"""Who asks: a token, what it may do, and the doors of projects that are open to it."""

from typing import Literal

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from ninja.security import HttpBearer

from refinement.api.limits import count_request
from refinement.models import ApiToken, Dataset, Export, Project, Run, RunSample, User
from refinement.selectors import access
from refinement.services.audit import ACTOR
from refinement.services.tokens import find_token

Scope = Literal["read", "review", "write", "admin"]
LEFT = "srt.api_requests_left"  # the key in request.META


class Token(HttpBearer):
    """``Authorization: Bearer srt_…``, with the scope that an operation needs."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        found = find_token(token)
        if found is None:
            return None
        request.META[LEFT] = count_request(found.pk)
        request.user = found.user
        request.META[ACTOR].user = found.user
        if self.scope not in found.scopes:
            raise PermissionDenied(f"This needs a token with the scope “{self.scope}”.")
        if self.scope == "admin" and not found.user.is_staff:
            raise PermissionDenied("Only admins may do this.")
        return found


READ, REVIEW, WRITE, ADMIN = Token("read"), Token("review"), Token("write"), Token("admin")


class Request(HttpRequest):
    """A request with a token that was accepted."""

    user: User
    auth: ApiToken


# -- The doors of selectors/access.py, for a token that may be of one project alone ---------------
def project_for(request: Request, pk: int, *, at_least: access.Role = "viewer") -> Project:
    project = access.project_for(request.user, pk, at_least=at_least)
    check_project(request, project.pk)
    return project


def dataset_for(request: Request, pk: int, *, at_least: access.Role = "viewer") -> Dataset:
    dataset = access.dataset_for(request.user, pk, at_least=at_least)
    check_project(request, dataset.project_id)
    return dataset


def run_for(request: Request, pk: int, *, at_least: access.Role = "viewer") -> Run:
    run = access.run_for(request.user, pk, at_least=at_least)
    check_project(request, run.project_id)
    return run


def pair_for(
    request: Request, run_id: int, pk: int, *, at_least: access.Role = "viewer"
) -> RunSample:
    pair = access.run_sample_for(request.user, pk, at_least=at_least)
    check_project(request, pair.run.project_id)
    if pair.run_id != run_id:
        raise access.NoAccess("No such pair in this run.")
    return pair


def export_for(request: Request, pk: int, *, at_least: access.Role = "viewer") -> Export:
    export = access.export_for(request.user, pk, at_least=at_least)
    check_project(request, export.project.pk)
    return export


def check_project(request: Request, project_id: int) -> None:
    """Raises NoAccess where the token is of another project."""
    if request.auth.project_id not in {None, project_id}:
        raise access.NoAccess("Not of the project of this token.")
