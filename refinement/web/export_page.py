"""One export: its files and its manifest, a link for people without a login, a push to the hub."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from refinement.models import Export, Push
from refinement.selectors import access
from refinement.services import pushes
from refinement.services.errors import ServiceError
from refinement.services.export_files import names_of
from refinement.services.export_links import export_of_link, sign_link
from refinement.services.submissions import AlreadySent, new_token, sent_once
from refinement.web.export_files import send_all, send_file
from refinement.web.export_forms import LinkForm, PushForm
from refinement.web.forms import add_service_error
from refinement.web.http import Request, live, live_response

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase
    from django.utils.safestring import SafeString

POLL_SECONDS = 2


@require_GET
def manifest(request: Request, export_id: int) -> HttpResponse:
    export = access.export_for(request.user, export_id)
    if export.status != Export.Status.READY:
        messages.error(
            request, gettext("The manifest comes with the file, which is not written yet.")
        )
        of = export.run or export.source
        return redirect("exports" if export.run else "dataset-exports", of.pk)
    if request.htmx and request.GET.get("part") == "live":
        return live_response(request, *_pushes(request, export))
    return _page(request, export)


def _page(
    request: Request,
    export: Export,
    *,
    push_form: PushForm | None = None,
    link: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "export": export,
        "run": export.run,
        "dataset": export.source,
        "project": export.project,
        "role": access.role_of(request.user, export.project),
        "files": names_of(export),
        "text": json.dumps(export.manifest, indent=2, ensure_ascii=False) + "\n",
        "link": link,
        "link_form": LinkForm(),
        "push_form": push_form or PushForm(initial={"token": new_token()}),
        "pushes": _pushes(request, export)[0],
    }
    return render(request, "exports/manifest.html", context, status=status)


def _pushes(request: Request, export: Export) -> tuple[SafeString, str]:
    found = list(export.pushes.all())
    waiting = any(push.status in {Push.Status.PENDING, Push.Status.PUSHING} for push in found)
    context: dict[str, Any] = {"pushes": found}
    return live(
        request,
        element="pushes-live",
        template="exports/_pushes.html",
        url=reverse("export-manifest", args=[export.pk]) + "?part=live",
        every=POLL_SECONDS if waiting else None,
        context=context,
    )


@require_POST
def link(request: Request, export_id: int) -> HttpResponse:
    """A link that works without a login, shown once."""
    export = _owned(request, export_id)
    form = LinkForm(request.POST)
    if not form.is_valid():
        messages.error(request, gettext("Choose how long the link is valid."))
        return redirect("export-manifest", export.pk)
    signed = sign_link(export=export, valid_for=timedelta(days=form.cleaned_data["days"]))
    address = request.build_absolute_uri(reverse("export-link-file", args=[signed]))
    return _page(request, export, link=address)


@require_POST
def push(request: Request, export_id: int) -> HttpResponse:
    export = _owned(request, export_id)
    form = PushForm(request.POST)
    if not form.is_valid():
        return _page(request, export, push_form=form, status=422)
    given = dict(form.cleaned_data)
    try:
        with sent_once(token=given.pop("token"), user=request.user) as submission:
            pushes.create_push(export=export, user=request.user, **given)
            submission.location = reverse("export-manifest", args=[export.pk])
    except AlreadySent:
        messages.info(request, gettext("This push was asked for already, once."))
    except ServiceError as error:
        add_service_error(form, error)
        return _page(request, export, push_form=form, status=422)
    return redirect("export-manifest", export.pk)


def _owned(request: Request, export_id: int) -> Export:
    export = access.export_for(request.user, export_id, at_least="owner")
    if export.status != Export.Status.READY:
        raise Http404(gettext("Not written yet."))
    return export


@login_not_required
@require_GET
def linked(request: HttpRequest, signed: str, name: str = "") -> HttpResponseBase:  # noqa: ARG001
    """What a signed link leads to: the data, or all files as a zip archive where there are more."""
    export = export_of_link(signed)
    if export is None:
        raise Http404(
            gettext("This link is not valid any more. Ask whoever gave it to you for a new one.")
        )
    try:
        if name:
            return send_file(export, name)
        if len(export.manifest.get("files", [])) > 1:
            return send_all(export)
        return send_file(export, names_of(export)[0])
    except FileNotFoundError:
        raise Http404(gettext("The file is gone from the server.")) from None


urlpatterns = [
    path("exports/<int:export_id>/manifest", manifest, name="export-manifest"),
    path("exports/<int:export_id>/link", link, name="export-link"),
    path("exports/<int:export_id>/push", push, name="export-push"),
    path("shared/<str:signed>", linked, name="export-link-file"),
    path("shared/<str:signed>/<str:name>", linked, name="export-link-named"),
]
