"""Lists in pages that cost the same at any depth: a cursor is the place of the last row."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from refinement.api.problems import Refused

M = TypeVar("M", bound=Model)


def page_of(rows: QuerySet[M], *, cursor: str, limit: int, by: str = "-pk") -> dict[str, Any]:
    """``items`` and ``next`` of ``rows`` ordered ``by`` a unique column. Raises Refused (422)."""
    name = by.removeprefix("-")
    rows = rows.order_by(by)
    if cursor:
        side = "lt" if by.startswith("-") else "gt"
        rows = rows.filter(**{f"{name}__{side}": place_of(cursor)})
    found = list(rows[: limit + 1])
    last = getattr(found[limit - 1], name) if len(found) > limit else None
    return {"items": found[:limit], "next": None if last is None else cursor_of(last)}


def cursor_of(place: int) -> str:
    return urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def place_of(cursor: str) -> int:
    try:
        place = int(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    except ValueError:
        place = -1
    if not 0 <= place < 2**63:
        raise Refused(422, "This cursor is none of ours: take `next` of the page before.")
    return place
