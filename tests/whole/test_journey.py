"""From signing in to a file on disk, as a newcomer walks it, with every process for real."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from refinement.models import User
from tests.browser.visitor import EXPECT_MS
from tests.pipeline.tiny_student import save_tiny_student

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.visitor import Visitor
    from tests.whole.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(600)]

PATIENCE_MS = 90_000  # workers load a model first, and a busy machine takes its time
PASSWORD = "chalk and slate and ink"
TOPICS = ("tides", "bread", "glaciers", "violins", "bridges", "bees", "maps", "clocks")
FAILED_PAIR = len(TOPICS) + 1
REFUSED_TWICE = "Tell me about locks. [[refuse 2]]"  # then the teacher thinks better of it


def upload_file(folder: Path) -> Path:
    """Nine good records, one of them with an input, and three that must be refused."""
    good: list[dict[str, Any]] = [
        {
            "instruction": f"Tell me about {topic}.",
            "input": "For a child of ten." if topic == "bees" else "",
            "output": f"There is much to say about {topic}: they are old, useful and well loved.",
            "source": f"notebook {number}",
        }
        for number, topic in enumerate(TOPICS)
    ]
    good.append({"instruction": REFUSED_TWICE, "input": "", "output": "Locks keep doors shut."})
    lines = [json.dumps(record) for record in good]
    lines.insert(2, '{"instruction": "Half a line", "output": ')
    lines.insert(4, json.dumps({"instruction": "Where is my answer?"}))
    lines.insert(6, json.dumps({"instruction": 42, "input": "", "output": "A number asks."}))
    path = folder / "notebook.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_from_signing_in_to_a_file_on_disk(
    product: Product, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    teacher_url = product.start_teacher("--latency", "0.25")
    student = save_tiny_student(tmp_path / "student")
    User.objects.create_superuser("maria", password=PASSWORD)
    me = visit(product.url, accept_downloads=True)
    me.page.context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    try:
        me.sign_in("maria", PASSWORD)
        register_models(me.page, teacher_url, student)
        upload_and_see_what_was_refused(me.page, tmp_path)
        run_id = start_pause_and_resume(me.page)
        decisions = review(me, product, run_id)
        retry_what_failed(me.page, run_id)
        export_and_read(me.page, run_id, decisions)
    except BaseException:
        print(product.logs())  # what the processes said, for whoever reads the failure
        raise
    finally:
        expect.set_options(timeout=EXPECT_MS)


def register_models(page: Page, teacher_url: str, student: Path) -> None:
    page.goto("/teachers/new")
    page.get_by_label("Name").fill("House teacher")
    page.get_by_label("Address").fill(teacher_url)
    page.get_by_label("Model", exact=True).fill("fake-teacher")
    page.get_by_label("Protocol").select_option("staged")
    page.get_by_label("Requests at once").fill("3")
    page.get_by_label("Price of the prompt").fill("2")
    page.get_by_role("button", name="Add the teacher").click()
    expect(page.get_by_text("House teacher").first).to_be_visible()
    page.goto("/students/new")
    page.get_by_label("Name").fill("House student")
    page.get_by_label("Place").fill(str(student))
    page.get_by_role("button", name="Add the student").click()
    expect(page.get_by_text("House student").first).to_be_visible()


def upload_and_see_what_was_refused(page: Page, folder: Path) -> None:
    page.goto("/")
    page.get_by_role("link", name="Create your first project").click()
    page.get_by_label("Name").fill("Notebook")
    page.get_by_role("button", name="Create project").click()
    page.get_by_role("link", name="Upload a dataset").first.click()
    page.locator("input[type=file]").set_input_files(upload_file(folder))
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("#prepare")).to_contain_text("Tell me about")
    page.get_by_role("button", name="Import", exact=True).click()
    refused = page.locator("#rejected")
    expect(refused).to_contain_text("Refused records 3")
    lines = refused.locator("td[data-label=Line]").all_inner_texts()
    assert lines == ["3", "5", "7"]
    expect(refused).to_contain_text("output")
    with page.expect_download() as download:
        refused.get_by_role("link", name="All as JSONL").click()
    rows = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert [row["line"] for row in rows] == [3, 5, 7]
    assert all(row["reason"] for row in rows)


def start_pause_and_resume(page: Page) -> int:
    """A run that is watched, stopped for a moment, and goes on; its page is never reloaded."""
    page.get_by_role("link", name="Start a run").click()
    page.get_by_label("House teacher").check()
    page.get_by_label("House student").check()
    page.get_by_label("Only pairs whose rewritten response").uncheck()
    page.get_by_role("spinbutton", name=re.compile("^IFD below")).fill("")
    page.get_by_role("spinbutton", name=re.compile("^r-IFD below")).fill("")
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url(re.compile(r"/runs/\d+$"))
    page.evaluate("window.sameDocument = true")
    run_id = int(page.url.rsplit("/", 1)[1])
    passed = page.locator(".flow__passed").first
    expect(passed).not_to_have_text(re.compile(r"^0 "))
    assert page.evaluate("window.sameDocument"), "progress needs a reload"
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".title-line .state")).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".title-line .state")).to_have_text(re.compile("Running|Complete"))
    page.get_by_role("link", name=re.compile(r"Review \d+ pair")).click()
    return run_id


def review(me: Visitor, product: Product, run_id: int) -> dict[int, str]:
    """Decide five pairs by keyboard while the run goes on. Returns number: what was said."""
    said: dict[int, str] = {}
    for key, words in (("o", "original"), ("d", "dropped"), ("2", "response"), ("a", "verdict")):
        pass_by_the_failed_one(me, product, run_id)
        said[decide(me, key)] = words
    pass_by_the_failed_one(me, product, run_id)
    number = here(me)
    me.press("e")
    me.page.get_by_label("Response").fill("Written by Maria, with care.")
    me.wait_ready()
    me.page.keyboard.press("Control+Enter")
    me.sees_toast(f"Edited: pair {number}.")
    said[number] = "edited"
    pass_by_the_failed_one(me, product, run_id)
    taken_back = decide(me, "d")
    me.press("u")
    me.sees_pair(taken_back)
    me.press("m")
    me.page.keyboard.type("Better left to the student.")
    me.page.keyboard.press("Control+Enter")
    expect(me.page.locator(".timeline")).to_contain_text("Better left to the student.")
    expect(me.page.locator(".timeline")).to_contain_text("undid: dropped")
    me.open_review(run_id, "?show=decided")
    expect(me.page.locator(".queue__list .line")).to_have_count(len(said))
    return said


def pass_by_the_failed_one(me: Visitor, product: Product, run_id: int) -> None:
    """It fails early and may be all there is to review so far; wait for a pair with a verdict."""
    expect(me.title).to_be_visible()  # the next may still be in work: it opens when it is done

    def is_another() -> bool:
        if here(me) == FAILED_PAIR:
            me.open_review(run_id)
        return me.title.is_visible() and here(me) != FAILED_PAIR

    product.wait_for("a pair with a verdict", is_another)


def decide(me: Visitor, key: str) -> int:
    """One key; the number of the pair it was said of. Another pair follows by itself."""
    number = here(me)
    me.press(key)
    me.sees_toast(f"pair {number}.")
    expect(me.title).not_to_have_text(f"Pair {number}")
    return number


def here(me: Visitor) -> int:
    return int(me.title.inner_text().removeprefix("Pair "))


def retry_what_failed(page: Page, run_id: int) -> None:
    """The teacher refused one pair twice; asked again it answers."""
    page.goto(f"/runs/{run_id}")
    expect(page.locator(".title-line .state")).to_have_text("Complete")
    page.get_by_role("link", name="See each pair").click()
    row = page.get_by_role("row").filter(has_text="Tell me about locks.")
    row.get_by_role("button", name=f"Retry pair {FAILED_PAIR}").click()
    page.goto(f"/runs/{run_id}")
    expect(page.locator(".title-line .state")).to_have_text("Complete")
    expect(page.locator(".figures-row").first).to_contain_text("9 of 9")


def export_and_read(page: Page, run_id: int, said: dict[int, str]) -> None:
    page.get_by_role("link", name="Export", exact=True).click()
    page.get_by_role("button", name="Write the files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    content = download.value.path().read_bytes()
    rows = [json.loads(line) for line in content.decode().splitlines()]
    by_hand = {words: number for number, words in said.items()}
    original = f"There is much to say about {TOPICS[by_hand['original'] - 1]}"
    assert sum(row["output"].startswith(original) for row in rows) == 1
    assert sum(row["output"] == "Written by Maria, with care." for row in rows) == 1
    dropped = f"notebook {by_hand['dropped'] - 1}"
    assert dropped not in [row.get("source") for row in rows]
    assert len(rows) == len(TOPICS) + 1 - 1  # every filter was switched off, one pair was dropped
    assert all(row["instruction"].strip() and row["output"].strip() for row in rows)
    page.get_by_role("link", name="Details").click()
    manifest = json.loads(page.locator("pre.export-manifest").inner_text())
    text = json.dumps(manifest)
    assert hashlib.sha256(content).hexdigest() in text
    assert page.url.endswith("manifest")
