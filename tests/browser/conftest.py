"""A real Chromium. Every error that a page or the server shows it fails the test."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.browser.visitor import EXPECT_MS, Visitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from playwright.sync_api import ConsoleMessage, Response

# The browser's loop runs in the test's own thread, where Django would refuse every query.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

expect.set_options(timeout=EXPECT_MS)

# The first is Chromium without its windows, which takes a third less of the processor.
NAMES = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome-stable", "google-chrome"),
)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium from PATH. Without one: a skip that says so, but under CI a failure."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        reason = f"no browser on PATH ({', '.join(NAMES)}): install Debian's package {NAMES[0]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def scheme() -> Literal["light", "dark"]:
    return "light"


@pytest.fixture
def visit(browser: Browser, scheme: str) -> Iterator[Callable[..., Visitor]]:
    """Opens windows, ``visit(base_url, **options)``, and looks for trouble at the end."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def open_window(base_url: str, **options: Any) -> Visitor:
        options = {"viewport": {"width": 1440, "height": 900}, "color_scheme": scheme} | options
        context = browser.new_context(base_url=base_url, reduced_motion="reduce", **options)
        context.set_default_timeout(EXPECT_MS)
        contexts.append(context)
        visitors.append(Visitor(context.new_page(), base_url))
        _listen(visitors[-1])
        return visitors[-1]

    yield open_window
    for context in contexts:
        context.close()
    for visitor in visitors:
        assert visitor.troubles == []


def _listen(visitor: Visitor) -> None:
    """Collect console errors, uncaught exceptions and answers of 500 and above."""

    def on_console(message: ConsoleMessage) -> None:
        status = re.search(r"status of (\d+)", message.text)
        expected = (status and int(status.group(1)) in visitor.expected_statuses) or any(
            words in message.text for words in visitor.expected_words
        )
        if message.type in ("error", "warning") and not expected:
            visitor.troubles.append(f"console {message.type}: {message.text}")

    def on_response(response: Response) -> None:
        if response.status >= 400 and response.status not in visitor.expected_statuses:
            visitor.troubles.append(f"{response.status} {response.request.method} {response.url}")

    visitor.page.on("console", on_console)
    visitor.page.on("pageerror", lambda error: visitor.troubles.append(f"uncaught: {error}"))
    visitor.page.on("response", on_response)
