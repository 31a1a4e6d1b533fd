"""The audit log to read: all of it for staff, that of one project for its owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.shortcuts import render
from django.urls import path
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from refinement.models import AuditEvent, Project
from refinement.selectors import access
from refinement.selectors.audit import AuditFilter, audit_page
from refinement.web.http import Request, staff_only

if TYPE_CHECKING:
    from django.http import HttpResponse

WORDS = {
    "account.password": "changed the password",
    "account.signed_out_everywhere": "signed out everywhere else",
    "dataset.deleted": "deleted the dataset",
    "dataset.uploaded": "uploaded the dataset",
    "download.dataset-rejected": "downloaded the refused records of",
    "download.export-download": "downloaded",
    "download.export-manifest-file": "downloaded the manifest of",
    "endpoint.registered": "registered the teacher",
    "export.asked": "asked for",
    "member.added": "added a member to",
    "member.removed": "removed a member from",
    "member.role": "changed a role in",
    "page.dataset": "looked at the dataset",
    "page.export": "looked at",
    "page.project": "looked at the project",
    "page.run": "looked at the run",
    "pair.commented": "commented on",
    "pair.decided": "decided on",
    "pair.judged": "gave an opinion on",
    "pair.opinion_withdrawn": "took back an opinion on",
    "pair.undone": "undid a decision on",
    "project.created": "created the project",
    "project.renamed": "renamed the project",
    "run.assigned": "assigned pairs of",
    "run.cancelled": "cancelled the run",
    "run.paused": "paused the run",
    "run.plan_changed": "changed how people share",
    "run.resumed": "resumed the run",
    "run.retried": "retried what failed in",
    "run.started": "started the run",
    "run.unassigned": "took back assignments in",
    "session.begun": "signed in",
    "session.ended": "signed out",
    "session.refused": "a wrong password was given",
    "student.registered": "registered the student",
    "token.made": "made an API token",
    "token.revoked": "revoked an API token",
    "webhook.deleted": "deleted a webhook of",
    "webhook.made": "made a webhook for",
}


def words_of(action: str) -> str:
    """What was done, to stand between a name and a subject."""
    if action in WORDS:
        return WORDS[action]
    first, _, rest = action.partition(".")
    said = rest.replace("-", " ").replace("_", " ")
    return {"refused": f"was refused ({said})", "did": said}.get(first, f"{first} {said}")


class AuditForm(forms.Form):
    """What to look for. A part that makes no sense is left out, and said so beside the field."""

    kind = forms.ChoiceField(
        label="What", required=False, choices=[("", "Everything"), *AuditEvent.Kind.choices]
    )
    who = forms.CharField(
        label="Who",
        required=False,
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="To", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    before = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)


@staff_only
@require_GET
def index(request: Request) -> HttpResponse:
    return _page(request, None)


@require_GET
def of_project(request: Request, project_id: int) -> HttpResponse:
    return _page(request, access.project_for(request.user, project_id, at_least="owner"))


def _page(request: Request, project: Project | None) -> HttpResponse:
    form = AuditForm(request.GET)
    status = 200 if form.is_valid() else 422
    events, before = audit_page(AuditFilter(project=project, **form.cleaned_data))
    asked = ((name, request.GET.get(name)) for name in ("kind", "who", "since", "until"))
    query = {name: value for name, value in asked if value}
    context: dict[str, Any] = {
        "project": project,
        "form": form,
        "lines": [{"event": event, "did": words_of(event.action)} for event in events],
        "filtered": bool(query),
        "older": urlencode(query | {"before": before}) if before else "",
        "newest": urlencode(query) if form.cleaned_data.get("before") else None,
    }
    return render(request, "audit/page.html", context, status=status)


urlpatterns = [
    path("audit", index, name="audit"),
    path("projects/<int:project_id>/audit", of_project, name="project-audit"),
]
