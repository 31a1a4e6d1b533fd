"""What holds for every page: hostile text stays text, no inline code, light, labelled."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.contrib.staticfiles import finders
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.defaults import server_error

from refinement.models import Comment, Dataset, Endpoint, Run, RunSample, Student
from refinement.services.models_registry import embedded_student, embedded_teacher

if TYPE_CHECKING:
    from tests.web.conftest import House

EVIL = """<script>alert('x')</script>"><img src=x onerror="alert(1)"> & {{ 7|add:7 }}"""
WEIGHT_LIMIT = 200_000
VOID = {"input", "meta", "link", "br", "hr", "img", "source", "wbr", "path", "rect", "use"}

PAGES = {
    "home": (),
    "account": (),
    "project-new": (),
    "project": ("project",),
    "project-rename": ("project",),
    "project-members": ("project",),
    "dataset-upload": ("project",),
    "dataset": ("dataset",),
    "run-new": ("project",),
    "run": ("run",),
    "run-failures": ("run",),
    "review-pair": ("run", "pair"),
    "exports": ("run",),
    "export-manifest": ("export",),
    "endpoints": (),
    "endpoint-new": (),
    "students": (),
    "student-new": (),
}


def fill_with_evil(house: House) -> None:
    run, project = house.room.run, house.room.project
    project.name = EVIL[:120]
    project.save()
    Dataset.objects.update(
        name=EVIL, filename=EVIL, error=EVIL, size_bytes=10, sha256="a" * 64, format="alpaca"
    )
    Run.objects.filter(pk=run.pk).update(name=EVIL, notice=EVIL)
    Endpoint.objects.filter(pk=run.teacher_id).update(name=EVIL[:120], model=EVIL, base_url=EVIL)
    Student.objects.filter(pk=run.student_id).update(name=EVIL[:120], path=EVIL, revision=EVIL)
    RunSample.objects.filter(state="failed").update(error=EVIL, error_reason="<b>evil</b>")
    sample = house.room.pairs[0].sample
    sample.instruction = sample.input = sample.response = EVIL
    sample.save()
    Comment.objects.create(run_sample=house.room.pairs[0], user=house.room.viewer, text=EVIL)
    user = house.room.viewer
    user.username = "<b>vic</b>"
    user.save()
    config = run.config | {"teacher": {"model": EVIL}, "student": {"path": EVIL, "template": EVIL}}
    Run.objects.filter(pk=run.pk).update(config=config, created_by=user)
    house.export.manifest, house.export.error = {"evil": EVIL}, EVIL
    house.export.save()
    house.refuse(3, excerpt=EVIL)


def fetch(house: House, name: str) -> str:
    """The page as an owner who is staff sees it."""
    owner = house.room.owner
    owner.is_staff = True
    owner.save()
    numbers = {
        "project": house.room.project.pk,
        "dataset": house.dataset.pk,
        "run": house.room.run.pk,
        "pair": house.room.pairs[0].pk,
        "export": house.export.pk,
    }
    url = reverse(name, args=[numbers[kind] for kind in PAGES[name]])
    answer = house.visitor("owner").get(url)
    assert answer.status_code == 200
    return str(answer.content.decode())


class Page(HTMLParser):
    """Notes what a browser would make of the markup."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag, f"</{tag}> closes something else"

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.mark.parametrize("name", PAGES)
def test_hostile_text_stays_text(name: str, house: House) -> None:
    clean = Page(fetch(house, name))
    fill_with_evil(house)
    html = fetch(house, name)
    page = Page(html)
    assert len(page.all("script")) == len(clean.all("script"))
    assert not page.all("img")
    assert "<b>" not in html
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound(name: str, house: House) -> None:
    house.refuse(3)
    page = Page(fetch(house, name))
    assert page.open == [], "every element is closed"
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids)), "no id twice"
    assert all(attrs.get("src") for attrs in page.all("script")), "no inline script"
    assert not page.all("style")
    assert not [attrs for _, attrs in page.tags if "style" in attrs]


@pytest.mark.parametrize("name", PAGES)
def test_every_field_has_a_name_for_those_who_do_not_see(name: str, house: House) -> None:
    page = Page(fetch(house, name))
    labelled = {attrs.get("for") for attrs in page.all("label")}
    for attrs in page.all("input", "select", "textarea"):
        if attrs.get("type") != "hidden":
            assert attrs.get("id") in labelled or "aria-label" in attrs, attrs
    for attrs in page.all("svg") if name != "review-pair" else ():  # there a parent is hidden
        assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label"), attrs


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light(name: str, house: House) -> None:
    """HTML, styles and scripts together, before compression."""
    html = fetch(house, name)
    weight = len(html.encode())
    for address in re.findall(r'(?:src|href)="/?static/([^"#]+)', html):
        found = finders.find(address)
        assert found, f"{address} is not among the static files"
        weight += Path(str(found)).stat().st_size
    assert weight < WEIGHT_LIMIT


def test_the_embedded_models_make_no_page_fail(house: House) -> None:
    embedded_teacher()
    embedded_student()
    for name in ("run-new", "endpoints", "students"):
        assert "SmolLM2-135M (embedded)" in fetch(house, name)


def test_a_form_without_its_token_is_refused_with_a_page(house: House) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(house.room.owner)
    answer = client.post(reverse("project-new"), {"name": "Forged"})
    assert answer.status_code == 403
    assert "The form was out of date" in answer.content.decode()


def test_a_server_error_has_a_page_that_needs_nothing() -> None:
    """It is made where everything else may be broken: without a user, without the database."""
    text = server_error(RequestFactory().get("/")).content.decode()
    assert "The server stumbled" in text
    assert Page(text).open == []
