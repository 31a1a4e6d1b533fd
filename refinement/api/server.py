"""What is not of one project: who I am, the teachers and students, the whole audit log."""

from typing import Any

from ninja import Router

from refinement.api.auth import ADMIN, READ, Request
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.schemas import common as c
from refinement.api.schemas import server as s
from refinement.api.schemas.audit import AuditOut
from refinement.models import AuditEvent, Endpoint, Student
from refinement.services import models_registry

router = Router(tags=["server"])


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
