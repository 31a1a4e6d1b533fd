"""Every screen, wide and narrow, in light and dark: axe-core finds nothing, nothing jumps, sticks
out or lies over something else. The screens are those of the table of doors, so that a new one
cannot be forgotten here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse

from refinement.models import ReviewPlan
from refinement.services.opinions import give_opinion
from tests.browser.overlaps import overlapping_texts
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE
from tests.web.conftest import House, house
from tests.web.test_access import DOORS
from tests.web.test_prepare import SEEDS, draft

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from tests.browser.visitor import Visitor

__all__ = ["house"]  # a fixture
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
MOST_SHIFT = 0.02  # of the cumulative layout shift; 0.1 is called good
SHOTS = os.environ.get("SRT_TEST_SHOTS")  # a folder: keep what each screen looked like
PAGES: set[str] = set()  # names of the doors that are pages, each page once
WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def screens(house: House) -> dict[str, str]:
    """Addresses by name: all pages of the table of doors, and the room in its many states."""
    doors = {door.name: reverse(door.name, args=door.of(house)) for door in DOORS}
    if not PAGES:  # asked of all doors once, not for each part
        pages: dict[str, str] = {}  # some doors lead to the page of another
        for name, address in sorted(doors.items(), key=lambda door: door[0] != "review-pair"):
            pages.setdefault(page_behind(house, address), name)
        PAGES.update(name for page, name in pages.items() if page)
    found = {name: address for name, address in doors.items() if name in PAGES}
    pair = doors["review-pair"]
    found |= {
        f"room-{name}": f"{pair}?{query}"
        for name, query in {
            "side": "view=side",
            "tokens": "view=tokens",
            "blanks": "blanks=1&view=plain",
            "edit": "edit=1",
            "original": "of=original",
        }.items()
    }
    found["room-failed"] = reverse("review-pair", args=[house.room.run.pk, house.room.pairs[1].pk])
    found["room-empty"] = f"{doors['review']}?show=decided"
    found["dataset-draft"] = reverse("dataset", args=[draft(house, SEEDS).pk])
    found["not-found"] = "/projects/99999"
    return found


# What axe looks for where. Everything once; what the light or the width may change again.
LOOKS = {
    ("wide", "light"): None,
    ("wide", "dark"): ["color-contrast"],
    ("narrow", "light"): ["target-size", "scrollable-region-focusable"],
    ("narrow", "dark"): [],
}


def page_behind(house: House, address: str) -> str:
    """The path of the whole page that an owner who is staff gets there.

    Empty where it is none: a file, a fragment, a 405.
    """
    answer = house.visitor("owner").get(address, follow=True)
    html = answer.headers.get("Content-Type", "").startswith("text/html")
    whole = html and answer.status_code == 200 and b"<!doctype html>" in answer.content[:200]
    return str(answer.request["PATH_INFO"]) if whole else ""


def look(page: Page, name: str) -> list[str]:
    """What is wrong with the page as it stands: both sizes, both lights."""
    troubles = []
    for size, viewport in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size(viewport)
        for light in ("light", "dark"):
            rules = LOOKS[size, light]
            if rules == [] and not SHOTS:
                continue
            page.emulate_media(color_scheme=light, reduced_motion="reduce")
            where = f"{name} {size} {light}"
            if rules != []:
                troubles += [f"{where}: {words}" for words in axe(page, rules)]
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"{where.replace(' ', '-')}.png")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            troubles.append(f"{name} {size}: the page is wider than its window")
        troubles += [f"{name} {size}: {words}" for words in overlapping_texts(page)]
    return troubles


def axe(page: Page, rules: list[str] | None) -> list[str]:
    """Serious and critical findings of axe-core, in a line each."""
    # Nothing is fetched once more: no rule here asks for styles of other hosts or for films.
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    if not page.evaluate("'axe' in window"):  # once a page: it is half a megabyte
        page.evaluate(Axe().axe_script)
    violations = page.evaluate(
        "(options) => axe.run(document, options).then((found) => found.violations)", options
    )
    return [
        f"{violation['id']} at {node['target']}: {node['html'][:160]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]


@pytest.fixture
def owner(live_server: LiveServer, visit: Callable[..., Visitor], house: House) -> Visitor:
    """An owner who is staff, and so sees every screen."""
    user = house.room.owner
    user.is_staff = True
    user.save()
    visitor = visit(live_server.url)
    visitor.page.add_init_script(WATCH_SHIFTS)
    visitor.enter(user.username)
    return visitor


@pytest.mark.parametrize("part", range(3))
def test_every_screen(owner: Visitor, house: House, part: int) -> None:
    troubles = []
    owner.expected_statuses.add(404)
    for name, address in list(screens(house).items())[part::3]:
        owner.page.set_viewport_size(WIDE)
        owner.page.goto(address)
        shift = owner.page.evaluate("window.shift")
        if shift > MOST_SHIFT:
            troubles.append(f"{name}: the layout shifts by {shift:.3f}")
        troubles += look(owner.page, name)
    assert troubles == []


def test_the_shared_and_the_blind_room(owner: Visitor, house: House) -> None:
    pairs = [house.room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE) for _ in "12"]
    plan = ReviewPlan.objects.create(run=house.room.run, reviewers_per_pair=2, seed=1)
    for user, action in ((house.room.reviewer, "drop"), (house.room.owner, "original")):
        give_opinion(run_sample=pairs[0], user=user, action=action)
    troubles = []
    addresses = {
        f"disputed-{pair.position}": reverse("review-pair", args=[house.room.run.pk, pair.pk])
        for pair in pairs
    } | {"people-of-several": reverse("review-people", args=[house.room.run.pk])}
    for name, address in addresses.items():
        owner.page.goto(address)
        troubles += look(owner.page, name)
    plan.blind = True
    plan.save()
    for query in ("", "?edit=1"):
        owner.page.goto(addresses[f"disputed-{pairs[1].position}"] + query)
        troubles += look(owner.page, f"blind{query[1:5]}")
    assert troubles == []


def test_signing_in(live_server: LiveServer, visit: Callable[..., Visitor]) -> None:
    visitor = visit(live_server.url)
    visitor.page.goto("/login")
    assert look(visitor.page, "login") == []


def test_the_checks_would_find_something(
    live_server: LiveServer, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(live_server.url)
    visitor.page.goto("/login")
    visitor.page.evaluate("document.querySelector('[for=id_password]').style.marginTop = '-5rem'")
    assert any("Password" in trouble for trouble in overlapping_texts(visitor.page))
    visitor.page.evaluate("document.querySelector('label').remove()")
    assert any("label" in trouble for trouble in axe(visitor.page, None))
