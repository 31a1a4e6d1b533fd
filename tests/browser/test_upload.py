"""Uploads as a person does them: a mapping that is changed, a line that breaks, a bad file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from refinement.models import Dataset, Export, Membership, Project, User
from refinement.services import chunks
from refinement.services.datasets import import_dataset
from refinement.services.dispatch import delivered_to
from refinement.services.exports import write_export

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper
    from pytest_django.live_server_helper import LiveServer

    from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long enough pass phrase"
SEEDS = "".join(
    json.dumps({"id": n, "task": f"Name fruit {n}.", "cases": [{"good": "Apple.", "bad": "Cod."}]})
    + "\n"
    for n in range(40_000)
)
# As soon as the form is there anew, and not a moment later: what was drawn takes part at once.
CHOOSE_AT_ONCE = """() => new MutationObserver((_, watch) => {
  const format = document.querySelector("#format");
  if (document.querySelector("[name=was]").value !== "alpaca") return;
  watch.disconnect();
  document.body.dataset.chosen = "fields";
  format.value = "fields";
  format.dispatchEvent(new Event("change", { bubbles: true }));
}).observe(document.querySelector("main"), { subtree: true, childList: true })"""


@pytest.fixture
def me(
    live_server: LiveServer,
    visit: Callable[..., Visitor],
    settings: SettingsWrapper,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Visitor:
    settings.MEDIA_ROOT = tmp_path / "files"
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1024**2)
    project = Project.objects.create(name="Fruit")
    user = User.objects.create_user("ann", password=PASSWORD)
    Membership.objects.create(project=project, user=user, role="owner")
    me = visit(live_server.url)
    me.page.context.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    me.enter("ann")
    me.page.goto("/")
    me.page.get_by_role("link", name="Fruit").first.click()
    me.page.get_by_role("link", name="Upload a dataset").first.click()
    return me


def test_an_upload_goes_on_where_it_stopped_and_is_mapped(me: Visitor, tmp_path: Path) -> None:
    page = me.page
    (tmp_path / "seeds.jsonl").write_text(SEEDS)
    me.expected_statuses = {503}
    broken = {"left": 1}

    def break_off(route: object) -> None:
        """The second chunk meets a server that is going down."""
        if "offset=1048576" in route.request.url and broken["left"]:  # type: ignore[attr-defined]
            broken["left"] -= 1
            route.fulfill(status=503, body="going down")  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page.route(re.compile(r"/uploads/.*offset="), break_off)
    page.locator("input[type=file]").set_input_files(tmp_path / "seeds.jsonl")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(re.compile(r"/datasets/\d+$"))
    assert broken["left"] == 0
    dataset = Dataset.objects.get()
    with dataset.file.open() as file:
        assert file.read() == SEEDS.encode()

    form = page.locator("#prepare-form")
    expect(page.locator("#prepare")).to_contain_text("No known format fits")
    page.get_by_label("Instruction", exact=True).fill("task")
    page.get_by_label("Output", exact=True).fill("cases[0].good")
    page.get_by_label("Output", exact=True).press("Tab")
    texts = page.locator("#preview .sample").first.locator(".text")
    expect(texts).to_have_text(["Name fruit 0.", "Apple."])
    page.get_by_label("Format").select_option("alpaca")
    expect(page.locator("#preview")).to_contain_text("Refused: the field 'instruction' is missing.")
    page.get_by_label("Format").select_option("fields")
    expect(page.locator("[name=was]")).to_have_value("fields")
    page.evaluate(CHOOSE_AT_ONCE)
    page.get_by_label("Format").select_option("alpaca")
    expect(page.locator("body")).to_have_attribute("data-chosen", "fields")
    expect(page.locator("[name=was]")).to_have_value("fields")
    page.get_by_label("Instruction", exact=True).fill("task")
    page.get_by_label("Output", exact=True).fill("cases[0].good")
    page.get_by_label("Output", exact=True).press("Tab")
    expect(texts).to_have_text(["Name fruit 0.", "Apple."])
    form.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator(".state")).to_have_text("Waiting")
    dataset.refresh_from_db()
    assert dataset.mapping["output"] == "cases[0].good"
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".state")).to_have_text("Not imported yet")


def test_after_a_reload_the_rest_is_sent(me: Visitor, tmp_path: Path) -> None:
    page = me.page
    (tmp_path / "seeds.jsonl").write_text(SEEDS)
    me.expected_statuses = {503}
    page.route(re.compile("offset=2097152"), lambda route: route.fulfill(status=503, body="down"))
    page.locator("input[type=file]").set_input_files(tmp_path / "seeds.jsonl")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("[data-upload-words]")).to_contain_text("The connection is lost")
    page.unroute_all()
    page.reload()
    expect(page.get_by_text("Not here whole yet")).to_be_visible()
    sent: list[str] = []
    page.on(
        "request", lambda request: sent.append(request.url) if "offset" in request.url else None
    )
    page.locator("input[type=file]").set_input_files(tmp_path / "seeds.jsonl")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(re.compile(r"/datasets/\d+$"))
    assert next(url for url in sent if "offset=" in url).endswith("offset=2097152")
    with Dataset.objects.get().file.open() as file:
        assert file.read() == SEEDS.encode()


def test_the_upload_speaks_the_reader_s_language(me: Visitor, tmp_path: Path) -> None:
    page = me.page
    (tmp_path / "seeds.jsonl").write_text(SEEDS)
    me.expected_statuses = {503}
    page.set_extra_http_headers({"Accept-Language": "de"})
    page.reload()
    form, chooser = page.locator("[data-upload]"), page.locator("input[type=file]")
    form.evaluate("form => { form.dataset.limit = 1536 }")
    chooser.set_input_files(tmp_path / "seeds.jsonl")
    expect(page.get_by_role("alert")).to_contain_text("erlaubt sind 1,5 KB. Teilen Sie sie auf")
    page.reload()
    page.route(re.compile("offset="), lambda route: route.fulfill(status=503, body="down"))
    chooser.set_input_files(tmp_path / "seeds.jsonl")
    page.get_by_role("button", name="Hochladen", exact=True).click()
    expect(page.locator("[data-upload-words]")).to_contain_text("Die Verbindung ist weg.")


def test_a_bad_file_says_why_at_once(me: Visitor, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text('instruction,output\na,b\n"c,d\n')
    me.page.locator("input[type=file]").set_input_files(tmp_path / "bad.csv")
    me.page.get_by_role("button", name="Upload", exact=True).click()
    alert = me.page.get_by_role("alert")
    expect(alert).to_contain_text("Line 3: a quotation mark is opened in this row")
    expect(me.page.get_by_role("button", name="Import", exact=True)).to_have_count(0)


def test_a_mapped_file_leaves_in_another_shape(me: Visitor, tmp_path: Path) -> None:
    """From an upload whose fields are chosen by hand to files on the visitor's own disk."""
    page = me.page
    records = [
        {"id": n, "task": f"Name fruit {n % 8}.", "cases": [{"good": f"Apple {n % 8}."}]}
        for n in range(10)
    ]
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    lines.insert(3, '{"id": 99, "task": "Cut o')
    (tmp_path / "fruit.jsonl").write_text("\n".join(lines) + "\n")
    page.locator("input[type=file]").set_input_files(tmp_path / "fruit.jsonl")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(re.compile(r"/datasets/\d+$"))
    page.get_by_label("Instruction", exact=True).fill("task")
    page.get_by_label("Output", exact=True).fill("cases[0].good")
    page.get_by_label("Output", exact=True).press("Tab")
    expect(page.locator("#preview .sample").first.locator(".text")).to_have_text(
        ["Name fruit 0.", "Apple 0."]
    )
    with delivered_to(lambda *_: None):  # the worker is this test
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.locator(".state")).to_have_text("Waiting")
        import_dataset(dataset_id=Dataset.objects.get().pk)
        expect(page.locator(".state")).to_have_text("Ready")
        expect(page.locator("#rejected")).to_contain_text("not valid JSON")

        page.get_by_role("link", name="Export", exact=True).click()
        expect(page.locator("#export-count")).to_contain_text("10 rows leave")
        page.get_by_label("Shape").select_option("messages")
        page.get_by_label("File", exact=True).select_option("json")
        page.get_by_label("Validation, %").fill("25")
        page.get_by_label("Seed").fill("3")
        page.get_by_label("Without duplicates").check()
        expect(page.locator("#export-count")).to_contain_text("8 rows leave")
        expect(page.locator("#export-count")).to_contain_text("2 left out as duplicates")
        page.get_by_role("button", name="Write the files").click()
        expect(page.locator(".state")).to_have_text("Waiting")
        write_export(export_id=Export.objects.get().pk)
        expect(page.locator(".state")).to_have_text("Ready")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    train = json.loads(download.value.path().read_bytes())
    page.get_by_role("link", name="Details").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="validation.json").click()
    validation = json.loads(download.value.path().read_bytes())
    assert validation
    assert sorted(train + validation, key=lambda chat: chat["id"]) == [
        {
            "messages": [
                {"role": "user", "content": f"Name fruit {n}."},
                {"role": "assistant", "content": f"Apple {n}."},
            ],
            "id": n,
        }
        for n in range(8)
    ]
    expect(page.locator("pre")).to_contain_text('"seed": 3')
