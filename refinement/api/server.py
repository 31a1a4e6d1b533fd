"""What is not of one project: who asks, how the service does, its models, the audit."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from ninja import Router

from refinement.api.auth import ADMIN, READ, WRITE, Request
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.schemas import common as c
from refinement.api.schemas import server as s
from refinement.api.schemas.audit import AuditOut
from refinement.models import ApiToken, AuditEvent, Endpoint, Student
from refinement.selectors import access
from refinement.selectors.health import QUEUES, troubles
from refinement.selectors.metrics import figures
from refinement.services import models_registry
from refinement.services.dispatch import broker_answers
from refinement.services.tokens import revoke_token

router = Router(tags=["server"])
_FIGURES = (
    *("runs", "failures", "calls_per_second", "tokens_per_second", "pairs_per_second"),
    *("disk_free_bytes", "disk_total_bytes"),
)


@router.get("/me", auth=READ, response=s.Me)
def get_me(request: Request) -> Any:
    token = request.auth
    return {
        "username": request.user.get_username(),
        "is_admin": request.user.is_staff,
        "scopes": token.scopes,
        "project": token.project_id,
        "expires_at": token.expires_at,
    }


@router.get("/me/tokens", auth=READ, response=c.Page[s.ApiTokenOut])
def list_my_tokens(request: Request, cursor: c.Cursor = "", limit: c.Limit = 100) -> Any:
    """One's own, the latest first, ended ones too; for a token of one project those of it."""
    return page_of(_own_tokens(request), cursor=cursor, limit=limit)


@router.delete("/me/tokens/{token_id}", auth=WRITE, response={204: None})
def revoke_my_token(request: Request, token_id: c.Id) -> HttpResponse:
    """End one of one's own tokens, this one too. A new one is made in the browser alone."""
    token = _own_tokens(request).filter(pk=token_id).first()
    if token is None:
        raise access.NoAccess("No such token of yours.")
    revoke_token(token=token)
    return HttpResponse(status=204)


def _own_tokens(request: Request) -> QuerySet[ApiToken]:
    tokens, project = request.user.api_tokens.all(), request.auth.project_id
    return tokens if project is None else tokens.filter(project=project)


@router.get("/status", auth=ADMIN, response=s.StatusOut)
def get_status(request: Request) -> Any:  # noqa: ARG001
    """How the service does, and what is wrong with it, in words."""
    now = figures()
    return {
        "troubles": troubles(now, broker_answers=broker_answers()),
        "queues": [
            {
                "name": queue,
                "workers": sum(queue in worker.queues for worker in now.workers),
                "waiting": now.waiting[queue],
                "in_work": now.in_work[queue],
                "oldest_wait": now.oldest_wait[queue],
            }
            for queue in QUEUES
        ],
        **{name: getattr(now, name) for name in _FIGURES},
    }


@router.get("/teachers", auth=READ, response=c.Page[s.TeacherOut])
def list_teachers(request: Request, cursor: c.Cursor = "", limit: c.Limit = 100) -> Any:  # noqa: ARG001
    models_registry.embedded_teacher()
    return page_of(Endpoint.objects.all(), cursor=cursor, limit=limit)


@router.post("/teachers", auth=ADMIN, response={201: s.TeacherOut}, openapi_extra=HEADER)
@once(s.TeacherOut)
def register_teacher(request: Request, body: s.TeacherIn) -> Any:  # noqa: ARG001
    return models_registry.create_endpoint(**body.model_dump())


@router.get("/students", auth=READ, response=c.Page[s.StudentOut])
def list_students(request: Request, cursor: c.Cursor = "", limit: c.Limit = 100) -> Any:  # noqa: ARG001
    models_registry.embedded_student()
    return page_of(Student.objects.all(), cursor=cursor, limit=limit)


@router.post("/students", auth=ADMIN, response={201: s.StudentOut}, openapi_extra=HEADER)
@once(s.StudentOut)
def register_student(request: Request, body: s.StudentIn) -> Any:  # noqa: ARG001
    return models_registry.create_student(**body.model_dump())


@router.get("/audit", auth=ADMIN, response=c.Page[AuditOut])
def list_events(request: Request, cursor: c.Cursor = "", limit: c.Limit = 100) -> Any:  # noqa: ARG001
    return page_of(AuditEvent.objects.all(), cursor=cursor, limit=limit)
