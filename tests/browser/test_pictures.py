"""Pictures that filter the queue, a what-if that answers, a policy that a worker puts in force."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from refinement.method.specs import PolicySpec
from refinement.models import Run
from refinement.selectors.run_columns import forget_tables, run_table
from refinement.selectors.slices import forget_fields
from refinement.selectors.what_if import what_if
from refinement.services.decisions import record_decision
from tests.browser.visitor import Visitor, light_and_dark
from tests.pipeline.processes import POOLS, celery
from tests.review_room import Room, make_room
from tests.scored_run import fill, make_stray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator
    from pytest_django.live_server_helper import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
STRICT = PolicySpec(max_r_ifd=0.7)


@pytest.fixture
def room(transactional_db: None) -> Room:
    forget_tables()
    forget_fields()
    room = make_room()
    fill(room, 40)
    return room


@pytest.fixture
def worker(valkey_url: str, process_env: dict[str, str]) -> Iterator[None]:
    """A worker of the queue that brings verdicts to another policy."""
    command = [*celery("worker"), "-Q", "default", *POOLS["default"]]
    process = subprocess.Popen(command, env=process_env)
    yield
    process.terminate()
    process.wait(30)


@pytest.fixture
def me(live_server: LiveServer, visit: Callable[..., Visitor], room: Room) -> Visitor:
    visitor = visit(live_server.url)
    visitor.enter(room.owner.username)
    visitor.page.goto(f"/runs/{room.run.pk}/pictures")
    return visitor


def drag(visitor: Visitor, plot: Locator, left: float, right: float) -> None:
    """Over a part of the plot, from the left to the right, each from 0 to 1."""
    plot.scroll_into_view_if_needed()
    box = plot.locator(".u-over").bounding_box()
    assert box is not None
    mouse = visitor.page.mouse
    mouse.move(box["x"] + left * box["width"], box["y"] + 5)
    mouse.down()
    mouse.move(box["x"] + right * box["width"], box["y"] + box["height"] - 5, steps=4)
    mouse.up()


def test_a_drag_to_the_edge_takes_the_strays_along(me: Visitor, room: Room) -> None:
    make_stray(room.run)
    forget_tables()
    me.page.reload()
    figure = me.page.locator("[data-ranges='delta_ifd delta_r_ifd']")
    drag(me, figure, 0.002, 0.998)
    link = figure.locator("[data-brush] a")
    expect(link).to_be_visible()
    promised = int(link.inner_text().split()[1])
    expect(figure.locator("[data-brush]")).to_contain_text("-11.")
    link.click()
    counted = me.page.locator(".queue__list .line")
    expect(counted).to_have_count(min(promised, 29))


@pytest.mark.parametrize("picture", ["ifd", "delta_ifd delta_r_ifd"])
def test_a_drag_over_a_picture_opens_those_pairs(me: Visitor, picture: str) -> None:
    figure = me.page.locator(f"[data-ranges='{picture}']")
    drag(me, figure, 0.3, 0.7)
    link = figure.locator("[data-brush] a")
    expect(link).to_be_visible()
    promised = int(link.inner_text().split()[1])
    assert 0 < promised < 40
    link.click()
    expect(me.page.locator(".queue__list .line")).to_have_count(min(promised, 29))
    field = picture.split()[0]
    assert f"{field}_min=" in me.page.url
    expect(me.page.locator(".narrow__chips")).to_be_visible()


@light_and_dark
def test_by_keyboard_a_bar_of_a_picture_opens_its_pairs(me: Visitor) -> None:
    figure = me.page.locator("[data-ranges=ifd]")
    me.enter_on(figure.locator("summary"))
    row = figure.locator("tbody tr").filter(has=me.page.locator("a")).nth(1)
    me.enter_on(row.get_by_role("link"))
    expect(me.page.locator(".narrow__chips")).to_be_visible()
    assert "ifd_min=" in me.page.url


@light_and_dark
def test_by_keyboard_a_what_if_answers_and_shows_those_as_a_list_to_review(
    me: Visitor, room: Room
) -> None:
    promised = what_if(room.run, run_table(room.run), STRICT)
    turned = promised.flips + promised.rewritten
    slider = me.page.get_by_label("r-IFD below").last
    me.tab_to(me.page.get_by_label("r-IFD below").first)
    me.page.keyboard.press("Control+a")
    me.page.keyboard.type("0.7")
    facts = me.page.locator(".what-if__facts")
    expect(facts).to_contain_text(f"verdicts turn{promised.flips} ")
    expect(slider).to_have_value("0.7")
    me.enter_on(me.page.get_by_role("link", name="Show me those"))
    expect(me.page.locator(".queue__list .line")).to_have_count(min(turned, 29))
    expect(me.page.locator(".narrow__chips")).to_contain_text("would turn under “The paper's")
    me.press("j")
    me.press("d")
    me.sees_toast("Dropped: pair")
    expect(me.page.locator(".narrow__chips")).to_contain_text("would turn under")


@pytest.mark.processes
@pytest.mark.usefixtures("worker")
def test_use_this_goes_through_a_worker_and_leaves_people_alone(me: Visitor, room: Room) -> None:
    promised = what_if(room.run, run_table(room.run), STRICT)
    lost = run_table(room.run).ids[0]
    pair = room.run.run_samples.get(pk=int(lost))
    said = record_decision(run_sample=pair, user=room.reviewer, action="original")
    me.page.get_by_label("r-IFD below").first.fill("0.7")
    me.page.get_by_role("button", name="Use this").click()
    expect(me.page.get_by_text("It is the run's policy now.")).to_be_visible()
    done = me.page.locator("tbody tr", has_text=f"→ {promised.then.kept}")
    for _ in range(60):
        if done.count():
            break
        me.page.wait_for_timeout(500)
        me.page.reload()
    expect(done).to_contain_text("r-IFD below 0.7")
    policy = Run.objects.get(pk=room.run.pk).config["policy"]
    assert PolicySpec.from_dict(policy) == STRICT
    pair.refresh_from_db()
    assert pair.decision_id == said.pk
