"""The page of a person's API tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.test import Client
from django.urls import reverse

from refinement.models import ApiToken, AuditEvent
from refinement.services.tokens import make_token

if TYPE_CHECKING:
    from tests.web.conftest import House

WANTED = {"name": "nightly", "days": 30, "scopes": ["read", "write"], "project": ""}


def test_a_token_is_shown_once_and_kept_as_a_hash(house: House) -> None:
    owner = house.visitor("owner")
    made = owner.post("/account/tokens", WANTED)
    found = re.search(r'<code id="new-token">(srt_[\w-]+)</code>', made.content.decode())
    assert found
    text = found[1]
    assert "no-store" in made["Cache-Control"]
    assert text not in owner.get("/account/tokens").content.decode()
    token = ApiToken.objects.get()
    assert text not in str(vars(token))
    answer = Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/me")
    assert answer.json()["scopes"] == ["read", "write"]
    event = AuditEvent.objects.get(action="token.made")
    assert text not in str(vars(event))


def test_revoking_ends_it(house: House) -> None:
    owner = house.visitor("owner")
    token, text = make_token(user=house.room.owner, name="n", scopes=["read"])
    page = owner.post(reverse("token-revoke", args=[token.pk]), follow=True).content.decode()
    assert "opens nothing any more" in page
    assert "revoked" in page
    answer = Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/me")
    assert answer.status_code == 401


def test_nobody_revokes_the_token_of_another(house: House) -> None:
    token, _ = make_token(user=house.room.owner, name="n", scopes=["read"])
    for who in ("stranger", "viewer", "staff"):
        answer = house.visitor(who).post(reverse("token-revoke", args=[token.pk]))
        assert answer.status_code == 404


def test_a_token_gives_no_more_than_its_person_has(house: House) -> None:
    page = house.visitor("owner").get("/account/tokens").content.decode()
    assert 'value="admin"' not in page
    refused = house.visitor("owner").post("/account/tokens", WANTED | {"scopes": ["admin"]})
    assert refused.status_code == 422
    foreign = WANTED | {"project": house.stranger.projects.get().pk}
    assert house.visitor("owner").post("/account/tokens", foreign).status_code == 422
    assert house.visitor("owner").post("/account/tokens", WANTED | {"days": 999}).status_code == 422
    assert ApiToken.objects.count() == 0
    assert 'value="admin"' in house.visitor("staff").get("/account/tokens").content.decode()
