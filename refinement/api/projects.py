"""Projects, their people, their webhooks, and what was done in them."""

from typing import Any

from django.http import HttpResponse
from ninja import Router, Status

from refinement.api.auth import READ, WRITE, Request, check_project, project_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import projects as s
from refinement.api.schemas.audit import AuditOut
from refinement.models import AuditEvent, Membership, Project, User, Webhook, WebhookDelivery
from refinement.selectors import access
from refinement.selectors.projects import membership_in
from refinement.services import projects as services
from refinement.services import webhooks

router = Router(tags=["projects"])


@router.get("/projects", auth=READ, response=c.Page[s.ProjectOut])
def list_projects(request: Request, cursor: c.Cursor = "", limit: c.Limit = 100) -> Any:
    rows = Project.objects.filter(memberships__user=request.user)
    if request.auth.project_id:
        rows = rows.filter(pk=request.auth.project_id)
    return page_of(rows, cursor=cursor, limit=limit)


@router.post("/projects", auth=WRITE, response={201: s.ProjectOut}, openapi_extra=HEADER)
@once(s.ProjectOut)
def create_project(request: Request, body: s.ProjectIn) -> Any:
    if request.auth.project_id:
        raise Refused(403, "This token is of one project, and cannot make another.")
    return services.create_project(name=body.name, owner=request.user)


@router.get("/projects/{project_id}", auth=READ, response=s.ProjectOut)
def get_project(request: Request, project_id: c.Id) -> Any:
    return project_for(request, project_id)


@router.patch("/projects/{project_id}", auth=WRITE, response=s.ProjectOut)
def rename_project(request: Request, project_id: c.Id, body: s.ProjectIn) -> Any:
    project = project_for(request, project_id, at_least="owner")
    return services.rename_project(project=project, name=body.name)


# -- People ---------------------------------------------------------------------------------------
@router.get("/projects/{project_id}/members", auth=READ, response=c.Page[s.MemberOut])
def list_members(
    request: Request, project_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    project = project_for(request, project_id)
    return page_of(project.memberships.select_related("user"), cursor=cursor, limit=limit)


@router.post(
    "/projects/{project_id}/members",
    auth=WRITE,
    response={201: s.MemberOut},
    openapi_extra=HEADER,
)
@once(s.MemberOut)
def add_member(request: Request, project_id: c.Id, body: s.MemberIn) -> Any:
    project = project_for(request, project_id, at_least="owner")
    user = User.objects.filter(username=body.username, is_active=True).first()
    if user is None:
        raise Refused(422, f"Nobody signs in as “{body.username}”.")
    return services.add_member(project=project, user=user, role=body.role)


@router.patch("/projects/{project_id}/members/{member_id}", auth=WRITE, response=s.MemberOut)
def change_role(request: Request, project_id: c.Id, member_id: c.Id, body: s.RoleIn) -> Any:
    project = project_for(request, project_id, at_least="owner")
    membership = membership_in(project, member_id)
    return services.change_role(membership=membership, role=body.role)


@router.delete("/projects/{project_id}/members/{member_id}", auth=WRITE, response={204: None})
def remove_member(request: Request, project_id: c.Id, member_id: c.Id) -> HttpResponse:
    """An owner removes anybody; everybody may leave."""
    membership: Membership = membership_in(project_for(request, project_id), member_id)
    if membership.user_id != request.user.pk:
        project_for(request, project_id, at_least="owner")
    services.remove_member(membership=membership)
    return HttpResponse(status=204)


# -- Webhooks -------------------------------------------------------------------------------------
@router.get("/projects/{project_id}/webhooks", auth=READ, response=c.Page[s.WebhookOut])
def list_webhooks(
    request: Request, project_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    project = project_for(request, project_id, at_least="owner")
    return page_of(Webhook.objects.filter(project=project), cursor=cursor, limit=limit)


@router.post(
    "/projects/{project_id}/webhooks",
    auth=WRITE,
    response={201: s.WebhookMade},
    openapi_extra=HEADER,
)
def create_webhook(request: Request, project_id: c.Id, body: s.WebhookIn) -> Any:
    """The answer holds the secret that signs each message. It is not shown again."""
    project = project_for(request, project_id, at_least="owner")
    webhook, secret = webhooks.make_webhook(
        project=project, url=body.url, events=body.events, user=request.user
    )
    return Status(201, {**s.WebhookOut.from_orm(webhook).dict(), "secret": secret})


@router.delete("/webhooks/{webhook_id}", auth=WRITE, response={204: None})
def delete_webhook(request: Request, webhook_id: c.Id) -> HttpResponse:
    webhooks.delete_webhook(webhook=_webhook(request, webhook_id))
    return HttpResponse(status=204)


@router.get("/webhooks/{webhook_id}/deliveries", auth=READ, response=c.Page[s.DeliveryOut])
def list_deliveries(
    request: Request, webhook_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    """What was sent, or is still to be sent, and how it was answered."""
    rows = WebhookDelivery.objects.filter(webhook=_webhook(request, webhook_id))
    return page_of(rows, cursor=cursor, limit=limit)


def _webhook(request: Request, webhook_id: int) -> Webhook:
    webhook = Webhook.objects.filter(pk=webhook_id).first()
    if webhook is None:
        raise access.NoAccess("No such webhook.")
    check_project(request, webhook.project_id)
    access.project_for(request.user, webhook.project_id, at_least="owner")
    return webhook


# -- The audit log --------------------------------------------------------------------------------
@router.get("/projects/{project_id}/audit", auth=READ, response=c.Page[AuditOut])
def list_project_events(
    request: Request, project_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    project = project_for(request, project_id, at_least="owner")
    return page_of(AuditEvent.objects.filter(project=project), cursor=cursor, limit=limit)
