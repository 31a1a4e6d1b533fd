"""``Idempotency-Key``: a request that creates something, sent again, creates nothing more."""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from ninja import Schema, Status
from ninja.responses import NinjaJSONEncoder
from pydantic import BaseModel

from refinement.api.auth import Request
from refinement.services import idempotency

HEADER = {
    "parameters": [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "required": False,
            "description": "Sent again within a day, the first answer is given and nothing done.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        }
    ]
}


def once(schema: type[Schema], status: int = 201) -> Callable[..., Any]:
    """For an operation that returns what it created, as ``schema`` has it."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def wrapper(request: Request, *args: Any, **kwargs: Any) -> Any:
            key = request.headers.get("Idempotency-Key")
            if key is None:
                return Status(status, view(request, *args, **kwargs))
            claimed = idempotency.begin(
                user=request.user, key=key, fingerprint=_fingerprint(request, kwargs)
            )
            if claimed.status is not None:
                answer = HttpResponse(claimed.body, content_type="application/json")
                answer.status_code = claimed.status
                answer["Idempotency-Replayed"] = "true"
                return answer
            try:
                made = view(request, *args, **kwargs)
            except BaseException:
                idempotency.forget(request=claimed)
                raise
            body = json.dumps(schema.from_orm(made).dict(), cls=NinjaJSONEncoder)
            idempotency.answered(request=claimed, status=status, body=body)
            return Status(status, made)

        return wrapper

    return decorate


def _fingerprint(request: Request, kwargs: dict[str, Any]) -> str:
    """The body as it was understood; a streamed one by its length."""
    parts = {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
        for name, value in kwargs.items()
    }
    told = [request.method, request.path, request.META.get("CONTENT_LENGTH", ""), parts]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
