"""What every screen shares: the typed request, and helpers that keep a view to three lines.

Access is checked with ``refinement.selectors.access`` in the first line of a view, so that its name
is in sight: ``run = access.run_for(request.user, run_id, at_least="owner")``.
"""

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django_htmx.http import HttpResponseClientRedirect

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from refinement.models import User

_CSRF_INPUT = re.compile(r'<input type="hidden" name="csrfmiddlewaretoken"[^>]*>')


class Request(HttpRequest):
    """A request of somebody who is logged in (LoginRequiredMiddleware sees to it)."""

    user: "User"
    htmx: "HtmxDetails"


def staff_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Raises PermissionDenied (a designed 403) for everybody who is not staff."""

    @wraps(view)
    def wrapper(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_staff:
            raise PermissionDenied(
                gettext(
                    "Teachers and students are registered by staff. Ask whoever runs this server."
                )
            )
        return view(request, *args, **kwargs)

    return wrapper


def go(request: Request, url: str) -> HttpResponse:
    """Redirect after a POST, for a plain form and for htmx alike."""
    return HttpResponseClientRedirect(url) if request.htmx else HttpResponseRedirect(url)


def render_form(
    request: Request, page: str, fragment: str, context: dict[str, Any]
) -> HttpResponse:
    """A form that was refused: status 422, the whole page or (for htmx) only the form."""
    return render(request, fragment if request.htmx else page, context, status=422)


def live(
    request: Request,
    *,
    element: str,
    template: str,
    url: str,
    every: int | None,
    context: dict[str, Any],
) -> tuple[SafeString, str]:
    """Render a fragment that asks for itself again every ``every`` seconds (``None``: no more).

    Returns the wrapped HTML and a digest of what it shows. The wrapper sends the digest back with
    each poll, so that an unchanged fragment costs no swap, no lost selection and no lost focus.
    """
    body = render_to_string(template, context, request=request)
    seen = hashlib.sha256(f"{every}{_CSRF_INPUT.sub('', body)}".encode()).hexdigest()[:16]
    html = render_to_string(
        "_live.html",
        {"element": element, "url": url, "every": every, "seen": seen, "body": mark_safe(body)},  # noqa: S308
    )
    return html, seen


def live_response(request: Request, html: SafeString, seen: str) -> HttpResponse:
    """The answer to a poll: the new fragment, or 204 if the page shows it already."""
    if request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    return HttpResponse(html)
