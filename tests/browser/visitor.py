"""What a person does in the product's pages, in words that tests can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from refinement.models import User
from tests.review_room import client_of

if TYPE_CHECKING:
    from playwright.sync_api import Locator

EXPECT_MS = 15_000  # how long a page may take to look as expected
MOST_TABS = 150  # from one end of a page to the other

light_and_dark = pytest.mark.parametrize("scheme", ["light", "dark"])


class Visitor:
    """One window. ``expected_statuses`` are answers of 400 and above that the test wants,
    ``expected_words`` are in lines of the console that it wants."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.base_url = base_url
        self.troubles: list[str] = []
        self.expected_statuses: set[int] = set()
        self.expected_words: set[str] = set()

    def sign_in(self, username: str, password: str) -> None:
        self.page.goto("/")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Projects")

    def enter(self, username: str) -> None:
        """Come back signed in: the browser kept the session."""
        cookie = client_of(User.objects.get(username=username)).cookies["sessionid"].value
        cookies = [{"name": "sessionid", "value": cookie, "url": self.base_url}]
        self.page.context.add_cookies(cookies)  # type: ignore[arg-type]

    def tab_to(self, target: Locator) -> None:
        """Go there as who has no mouse does, and see where it is."""
        for _ in range(MOST_TABS):
            if target.evaluate("one => one === document.activeElement"):
                assert target.evaluate("one => one.matches(':focus-visible')")
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no Tab leads to {target}")

    def enter_on(self, target: Locator) -> None:
        self.tab_to(target)
        self.page.keyboard.press("Enter")

    # -- The review room ----------------------------------------------------------------------
    def open_review(self, run_id: int, query: str = "") -> None:
        self.page.goto(f"/runs/{run_id}/review{query}")

    def press(self, key: str) -> None:
        """One key, once the pair on screen takes decisions (a guard against double taps)."""
        self.wait_ready()
        self.page.keyboard.press(key)

    def click(self, name: str) -> None:
        """A button of the decision bar, with the mouse."""
        self.wait_ready()
        self.choice(name).click()

    def choice(self, name: str) -> Locator:
        """A button of the decision bar, by its name."""
        named = self.page.locator(".choice__name", has_text=name)
        return self.shown.locator(".decide .choice").filter(has=named)

    def wait_ready(self) -> None:
        self.page.locator("[data-room][data-ready]").wait_for(state="attached")

    def wait_fetched(self) -> None:
        """Until the page holds the next pair."""
        self.page.locator("#room[data-ahead]").wait_for(state="attached")

    def sees_pair(self, number: int) -> None:
        expect(self.title).to_have_text(f"Pair {number}")

    def sees_toast(self, text: str) -> None:
        expect(self.shown.locator(".room-toasts")).to_contain_text(text)

    @property
    def title(self) -> Locator:
        return self.shown.locator("#pair-title")

    @property
    def middle(self) -> Locator:
        return self.shown.locator("section.pair")

    @property
    def shown(self) -> Locator:
        """The room in sight: the one before waits, hidden, for the answer to its decision."""
        return self.page.locator("[data-room]:not([hidden])")
