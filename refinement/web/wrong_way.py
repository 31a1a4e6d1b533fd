"""What people meet where a form's address is opened by itself, or sent after its session ended."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.template.loader import render_to_string
from django.urls import reverse

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

READS = {"GET", "HEAD"}


class SignInFirstMiddleware(LoginRequiredMiddleware):
    """Django's, but who sends a form signed out comes back to the page that the form was on.

    The form's own address may be no page at all.
    """

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseRedirect:
        if request.method in READS:
            return super().handle_no_permission(request, view_func)
        return redirect_to_login(_page_before(request), settings.LOGIN_URL)


def _page_before(request: HttpRequest) -> str:
    """Where the browser says that it was, if that was here; else the first page."""
    before = urlsplit(request.headers.get("Referer", ""))
    if before.netloc != request.get_host():
        return reverse("home")
    return before._replace(scheme="", netloc="", fragment="").geturl()


class NotAPageMiddleware:
    """Gives a refused method its page: Django answers it with an empty one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code != 405 or response.content or request.method not in READS:
            return response
        response.content = render_to_string("405.html", request=request).encode()
        return response
