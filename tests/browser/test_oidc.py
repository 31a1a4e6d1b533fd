"""Signing in through an identity provider, under the content security policy, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from playwright.sync_api import expect

from refinement.models import User
from srt_web.oidc import Oidc
from tests.oidc_provider import CLIENT_SECRET, running_provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django.live_server_helper import LiveServer

    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def test_there_and_back(
    visit: Callable[..., Visitor], live_server: LiveServer, settings: Any
) -> None:
    User.objects.create_user("ada", email="ada@example.org")
    with running_provider() as issuer:
        settings.OIDC = Oidc(issuer, "srt", CLIENT_SECRET, "Example ID")
        person = {"email": "ada@example.org", "email_verified": True}
        httpx2.put(f"{issuer}/users/ada-1", json=person).raise_for_status()
        page = visit(live_server.url).page
        for strange in ("https://cdn.jsdelivr.net/**", f"{issuer}/favicon.ico"):
            page.route(strange, lambda route: route.fulfill(body=""))  # the provider's own page
        page.goto("/account")
        page.get_by_role("link", name="Sign in with Example ID").click()
        page.locator('input[name="sub"]').fill("ada-1")
        page.get_by_role("button", name="Authorize").click()
        expect(page.locator("main").get_by_text("Signed in as ada")).to_be_visible()
        assert page.url.endswith("/account")
