"""What goes wrong, as ``application/problem+json`` (RFC 9457)."""

import json
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import Field, NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from refinement.services.decisions import DecisionConflict
from refinement.services.errors import ServiceError
from refinement.services.idempotency import KeyInUse

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "The request cannot be read",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "No such method here",
    409: "It was changed meanwhile",
    411: "The length is missing",
    413: "Too large",
    422: "It cannot be done like this",
    429: "Too many requests",
    503: "Not now",
}


class FieldError(Schema):
    field: str
    message: str


class Problem(Schema):
    """Every answer of 400 and above."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)


class Refused(Exception):  # noqa: N818 - the server is well
    """Ends a request with this status, sentence and headers."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def problem(status: int, detail: str, errors: list[dict[str, str]] | None = None) -> HttpResponse:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status, "It did not work"),
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return HttpResponse(
        json.dumps(body, ensure_ascii=False), status=status, content_type=CONTENT_TYPE
    )


def handle_problems(api: NinjaAPI) -> None:
    """Let ``api`` answer every refusal of ours as a problem."""

    @api.exception_handler(Refused)
    def _refused(_: HttpRequest, error: Refused) -> HttpResponse:
        answer = problem(error.status, str(error))
        for name, value in error.headers.items():
            answer[name] = value
        return answer

    @api.exception_handler(ServiceError)
    def _service(_: HttpRequest, error: ServiceError) -> HttpResponse:
        late = isinstance(error, DecisionConflict | KeyInUse)
        return problem(409 if late else 422, str(error))

    @api.exception_handler(Http404)
    def _missing(_: HttpRequest, __: Http404) -> HttpResponse:
        return problem(404, "It does not exist, or not for you.")

    @api.exception_handler(PermissionDenied)
    def _denied(_: HttpRequest, error: PermissionDenied) -> HttpResponse:
        return problem(403, str(error) or "This token may not do that.")

    @api.exception_handler(AuthenticationError)
    def _unknown(_: HttpRequest, __: AuthenticationError) -> HttpResponse:
        answer = problem(401, "Send a token that lives: Authorization: Bearer srt_…")
        answer["WWW-Authenticate"] = "Bearer"
        return answer

    @api.exception_handler(UnreadablePostError)
    def _cut_off(_: HttpRequest, __: UnreadablePostError) -> HttpResponse:
        return problem(400, "The request broke off half-way.")

    @api.exception_handler(ValidationError)
    def _invalid(_: HttpRequest, error: ValidationError) -> HttpResponse:
        errors = [
            {"field": ".".join(str(part) for part in item["loc"][1:]), "message": item["msg"]}
            for item in error.errors
        ]
        return problem(422, "Some values do not fit; see errors.", errors)

    @api.exception_handler(HttpError)
    def _http(_: HttpRequest, error: HttpError) -> HttpResponse:
        return problem(error.status_code, str(error))
