"""The audit log to read: all of it for staff, that of one project for its owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.shortcuts import render
from django.urls import path
from django.utils.http import urlencode
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.http import require_GET

from refinement.models import AuditEvent, Project
from refinement.selectors import access
from refinement.selectors.audit import AuditFilter, audit_page
from refinement.web.http import Request, staff_only

if TYPE_CHECKING:
    from django.http import HttpResponse

WORDS = {
    "account.connected": gettext_noop("signed in through the identity provider for the first time"),
    "account.password": gettext_noop("changed the password"),
    "account.signed_up": gettext_noop("made an account through the identity provider"),
    "account.signed_out_everywhere": gettext_noop("signed out everywhere else"),
    "dataset.deleted": gettext_noop("deleted the dataset"),
    "dataset.uploaded": gettext_noop("uploaded the dataset"),
    "download.dataset-rejected": gettext_noop("downloaded the refused records of"),
    "download.export-download": gettext_noop("downloaded"),
    "download.export-manifest-file": gettext_noop("downloaded the manifest of"),
    "endpoint.registered": gettext_noop("registered the teacher"),
    "export.asked": gettext_noop("asked for"),
    "member.added": gettext_noop("added a member to"),
    "member.removed": gettext_noop("removed a member from"),
    "member.role": gettext_noop("changed a role in"),
    "page.dataset": gettext_noop("looked at the dataset"),
    "page.export": gettext_noop("looked at"),
    "page.project": gettext_noop("looked at the project"),
    "page.run": gettext_noop("looked at the run"),
    "pair.commented": gettext_noop("commented on"),
    "pair.decided": gettext_noop("decided on"),
    "pair.judged": gettext_noop("gave an opinion on"),
    "pair.opinion_withdrawn": gettext_noop("took back an opinion on"),
    "pair.tokens_asked": gettext_noop("asked for the tokens of"),
    "pair.undone": gettext_noop("undid a decision on"),
    "project.created": gettext_noop("created the project"),
    "project.renamed": gettext_noop("renamed the project"),
    "run.assigned": gettext_noop("assigned pairs of"),
    "run.cancelled": gettext_noop("cancelled the run"),
    "run.paused": gettext_noop("paused the run"),
    "run.plan_changed": gettext_noop("changed how people share"),
    "run.resumed": gettext_noop("resumed the run"),
    "run.retried": gettext_noop("retried what failed in"),
    "run.started": gettext_noop("started the run"),
    "run.unassigned": gettext_noop("took back assignments in"),
    "session.begun": gettext_noop("signed in"),
    "session.ended": gettext_noop("signed out"),
    "session.not_let_in": gettext_noop("was not let in by way of the identity provider"),
    "session.refused": gettext_noop("a wrong password was given"),
    "student.registered": gettext_noop("registered the student"),
    "token.made": gettext_noop("made an API token"),
    "token.revoked": gettext_noop("revoked an API token"),
    "pair.flagged": gettext_noop("flagged"),
    "pair.unflagged": gettext_noop("took the flag off"),
    "run.bulk_asked": gettext_noop("asked for a bulk act in"),
    "run.bulk_undone": gettext_noop("undid a bulk act in"),
    "view.forgotten": gettext_noop("forgot the view"),
    "view.saved": gettext_noop("saved the view"),
    "webhook.deleted": gettext_noop("deleted a webhook of"),
    "webhook.made": gettext_noop("made a webhook for"),
}


def words_of(action: str) -> str:
    """What was done, to stand between a name and a subject."""
    if action in WORDS:
        return gettext(WORDS[action])
    first, _, rest = action.partition(".")
    said = rest.replace("-", " ").replace("_", " ")
    refused = gettext("was refused (%(what)s)") % {"what": said}
    return {"refused": refused, "did": said}.get(first, f"{first} {said}")


class AuditForm(forms.Form):
    """What to look for. A part that makes no sense is left out, and said so beside the field."""

    kind = forms.ChoiceField(
        label=gettext_lazy("What"),
        required=False,
        choices=[("", gettext_lazy("Everything")), *AuditEvent.Kind.choices],
    )
    who = forms.CharField(
        label=gettext_lazy("Who"),
        required=False,
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    since = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date"})
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
        "lines": [
            {"event": event, "did": words_of(event.action), "detail": _detail(event)}
            for event in events
        ],
        "filtered": bool(query),
        "older": urlencode(query | {"before": before}) if before else "",
        "newest": urlencode(query) if form.cleaned_data.get("before") else None,
    }
    return render(request, "audit/page.html", context, status=status)


def _detail(event: AuditEvent) -> list[tuple[str, str]]:
    """Names and values as a person reads them; what is empty is left out."""

    def said(value: Any) -> str:
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    known = {name: value for name, value in event.detail.items() if value not in ("", None)}
    return [(name.replace("_", " "), said(value)) for name, value in known.items()]


urlpatterns = [
    path("audit", index, name="audit"),
    path("projects/<int:project_id>/audit", of_project, name="project-audit"),
]
