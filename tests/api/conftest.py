"""The house of tests/web, asked by programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from refinement.models import ApiToken
from refinement.services.tokens import make_token
from tests.web.conftest import House, house

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponse

    from refinement.models import Project, User

__all__ = ["House", "house"]


@dataclass
class Caller:
    """Asks as a program with a token does."""

    token: str

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.token}", **headers} if self.token else headers
        client = Client(headers=headers)
        options: dict[str, Any] = {} if body is None else {"data": body}
        answer: HttpResponse = getattr(client, method)(
            f"/api/v1{path}", content_type="application/json", **options
        )
        return answer


def caller(
    user: User | None, scopes: list[str] | None = None, project: Project | None = None
) -> Caller:
    """Somebody with a token for everything that they may do; ``None``: nobody."""
    if user is None:
        return Caller("")
    every = [s for s in ApiToken.Scope.values if s != "admin" or user.is_staff]
    _, text = make_token(user=user, name="test", scopes=scopes or every, project=project)
    return Caller(text)


@pytest.fixture
def ask(house: House) -> Callable[[str], Caller]:
    return lambda who: caller(None if who == "anonymous" else house.user(who))
