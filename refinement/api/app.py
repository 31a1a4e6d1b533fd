"""The REST face, under /api/v1/: whatever the browser does, a program can do.

Operations go through the services and selectors that the screens use. ``docs/api.md`` shows it in
use; ``/api/v1/openapi.json`` describes it in full.
"""

from importlib.metadata import version
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from refinement.api import (
    acts,
    datasets,
    exports,
    imports,
    pairs,
    people,
    policies,
    projects,
    pushes,
    review,
    runs,
    server,
    trials,
    uploads,
)
from refinement.api.auth import LEFT
from refinement.api.problems import CONTENT_TYPE, Problem, handle_problems, problem

PREFIX = "api/v1/"
STATUSES = {  # of problems, by the method of an operation
    "get": (401, 403, 404, 409, 422, 429, 503),
    "post": (400, 401, 403, 404, 409, 411, 422, 429),
    "put": (400, 401, 403, 404, 409, 411, 422, 429),
    "patch": (400, 401, 403, 404, 409, 422, 429),
    "delete": (401, 403, 404, 409, 422, 429),
}


class Api(NinjaAPI):
    """Adds to each operation the problems that it may answer with, and the rate limit's headers."""

    def get_openapi_schema(self, **options: Any) -> Any:
        schema = super().get_openapi_schema(**options)
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema(
            ref_template="#/components/schemas/{model}"
        )
        definitions = schema["components"]["schemas"]["Problem"].pop("$defs", {})
        schema["components"]["schemas"].update(definitions)
        for operations in schema["paths"].values():
            for method, operation in operations.items():
                for status in STATUSES.get(method, ()):
                    operation["responses"][status] = _PROBLEM
        return schema

    def create_response(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().create_response(request, *args, **kwargs)
        if LEFT in request.META:
            left, seconds = request.META[LEFT]
            response["RateLimit-Remaining"] = str(left)
            response["RateLimit-Reset"] = str(seconds)
        return response


_PROBLEM = {
    "description": "A problem, in words (RFC 9457)",
    "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

api = Api(
    title="srt-web",
    version=version("srt-web"),
    description="Selective Reflection-Tuning with people in the loop.",
    docs_url=None,  # its pages load scripts from elsewhere, which our policy refuses
    urls_namespace="api",
)
handle_problems(api)
for module in (
    server,
    projects,
    datasets,
    uploads,
    imports,
    trials,
    runs,
    pairs,
    review,
    people,
    acts,
    policies,
    exports,
    pushes,
):
    api.add_router("", module.router)


@login_not_required
def missing(_request: HttpRequest, rest: str) -> HttpResponse:
    return problem(404, f"There is no /{PREFIX}{rest}. /{PREFIX}openapi.json lists what there is.")


def _plain(pattern: URLPattern | URLResolver) -> URLPattern:
    """A token opens these addresses, not a session; and what they refuse is a problem too."""
    assert isinstance(pattern, URLPattern)  # noqa: S101 - for the type checker
    view = pattern.callback

    @login_not_required
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        if response.status_code == 405:
            refused = problem(405, f"{request.method} is not possible here.")
            refused["Allow"] = response.headers.get("Allow", "")
            return refused
        return response

    pattern.callback = csrf_exempt(wrapper)  # no cookie opens these addresses
    return pattern


urlpatterns = [
    *(_plain(pattern) for pattern in api.urls[0]),
    path("<path:rest>", missing, name="missing"),
]
