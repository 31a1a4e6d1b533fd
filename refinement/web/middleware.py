"""Around every request: who acts, and what of it belongs into the audit log.

Services record what they do in words of their own. What is seen, refused, downloaded, or done by a
view whose service says nothing is recorded here, so that nothing can be forgotten.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from refinement.selectors.audit import subject_of
from refinement.services import audit
from srt_web.client_address import client_address
from srt_web.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase
    from django.urls import ResolverMatch

ONCE_IN_SECONDS = 3600.0  # what one person looks at again is recorded again after so long
MOST_REMEMBERED = 10_000
SAFE = {"GET", "HEAD", "OPTIONS"}
# Nothing of anybody's data, or told in words of its own.
UNTOLD = {"theme", "login", "logout", "oidc", "oidc-callback", "healthz", "readyz", "metrics"}


class AuditMiddleware:
    """Stands behind the one that knows the user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._told: dict[tuple[object, ...], float] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        api = request.path.startswith("/api/")
        actor = audit.Actor(
            user=request.user,
            via=audit.Via.API if api else audit.Via.WEB,
            address=client_address(request),
        )
        request.META[audit.ACTOR] = actor
        with audit.acting(actor), about(request=_name_of(request)):
            response = self._get_response(request)
            match = request.resolver_match
            if match is not None and match.url_name not in UNTOLD:
                self._tell(request, response, match, actor)
        return response

    def _tell(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        match: ResolverMatch,
        actor: audit.Actor,
    ) -> None:
        user = actor.user
        if user is None or not user.is_authenticated or actor.recorded:
            return
        name, status = match.url_name or "", response.status_code
        where = (user.pk, name, tuple(match.kwargs.values()))
        if status == 403 or (status == 404 and match.kwargs):
            if self._first(("refused", *where)):
                audit.record(f"refused.{name}"[:60], subject_of(match.kwargs))
        elif status >= 400:
            return
        elif request.method not in SAFE:
            audit.record(f"did.{name}"[:60], subject_of(match.kwargs))
        elif "attachment" in response.headers.get("Content-Disposition", ""):
            audit.record(f"download.{name}"[:60], subject_of(match.kwargs))
        elif match.kwargs:
            self._saw(user.pk, match)

    def _saw(self, user_id: int, match: ResolverMatch) -> None:
        """Once an hour for each project, dataset, run or export, however often it is looked at."""
        key = next(iter(match.kwargs.items()))
        if self._first(("saw", user_id, *key)):
            subject = subject_of(dict([key]))
            if subject is not None:
                audit.record(f"page.{key[0].removesuffix('_id')}", subject)

    def _first(self, key: tuple[object, ...]) -> bool:
        now = time.monotonic()
        if now - self._told.get(key, -ONCE_IN_SECONDS) < ONCE_IN_SECONDS:
            return False
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        self._told[key] = now
        return True


def _name_of(request: HttpRequest) -> str:
    """The name that a proxy gave the request, where it is one; else a new one."""
    given = request.headers.get("X-Request-ID", "")
    return given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else uuid4().hex[:12]
