"""The audit log as people fill it and read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.urls import reverse

from refinement.models import AuditEvent
from tests.review_room import PASSWORD

if TYPE_CHECKING:
    from tests.web.conftest import House


@pytest.fixture(autouse=True)
def _empty(house: House) -> None:
    AuditEvent.objects.all().delete()


def actions() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("pk").values_list("who", "action"))


def signed_in(house: House, who: str) -> Client:
    """A client whose signing in is forgotten."""
    client = house.visitor(who)
    AuditEvent.objects.all().delete()
    return client


def test_signing_in_and_out_and_failing_to(house: House) -> None:
    client, name = Client(), house.room.owner.username
    client.post("/login", {"username": name, "password": "wrong"})
    client.post("/login", {"username": "hunter2 by mistake", "password": "x"})
    client.post("/login", {"username": name, "password": PASSWORD})
    client.post("/logout")
    assert actions() == [
        ("", "session.refused"),
        ("", "session.refused"),
        (name, "session.begun"),
        (name, "session.ended"),
    ]
    details = AuditEvent.objects.order_by("pk").values_list("detail", flat=True)[:2]
    assert list(details) == [{"name": name}, {"name": "(nobody's)"}]


def test_what_is_looked_at_is_kept_once_an_hour(house: House) -> None:
    viewer, run = signed_in(house, "viewer"), house.room.run.pk
    for _ in range(3):
        viewer.get(reverse("run", args=[run]))
        viewer.get(reverse("run-progress", args=[run]))
    assert actions() == [(house.room.viewer.username, "page.run")]


def test_what_is_refused_and_what_is_fetched(house: House) -> None:
    stranger, viewer = signed_in(house, "stranger"), signed_in(house, "viewer")
    for _ in range(2):
        stranger.get(reverse("run", args=[house.room.run.pk]))
    viewer.post(reverse("run-pause", args=[house.room.run.pk]))
    viewer.get(reverse("export-download", args=[house.export.pk]))
    viewer.get(reverse("export-download", args=[house.export.pk]))
    assert actions() == [
        (house.stranger.username, "refused.run"),
        (house.room.viewer.username, "refused.run-pause"),
        *[(house.room.viewer.username, "download.export-download")] * 2,
    ]
    refused = AuditEvent.objects.get(action="refused.run")
    assert refused.project == house.room.project
    assert refused.address == "127.0.0.1"


def test_the_page_finds_and_turns_pages(house: House) -> None:
    staff = signed_in(house, "staff")
    AuditEvent.objects.bulk_create(
        AuditEvent(
            kind="saw", action="page.run", who=f"person{n % 2}", via="web", subject=f"run {n}"
        )
        for n in range(250)
    )
    first = staff.get("/audit").content.decode()
    assert first.count("<tr>") == 101
    assert "looked at the run <bdi>run 249</bdi>" in first
    event = AuditEvent.objects.order_by("-pk")[99]
    older = staff.get(f"/audit?before={event.pk}").content.decode()
    assert "run 149</bdi>" in older
    assert "run 150</bdi>" not in older
    some = staff.get("/audit?who=person1&kind=saw").content.decode()
    assert "person0" not in some
    assert "Nothing found" in staff.get("/audit?kind=exported").content.decode()
    assert staff.get("/audit?since=yesterday&before=x").status_code == 422


def test_owners_see_their_own_project_alone(house: House) -> None:
    house.visitor("viewer").get(reverse("run", args=[house.room.run.pk]))
    foreign = house.visitor("stranger")
    foreign.post("/projects/new", {"name": "Not theirs"})
    page = house.visitor("owner").get(reverse("project-audit", args=[house.room.project.pk]))
    text = page.content.decode()
    assert "looked at the run" in text
    assert "Not theirs" not in text
    assert "session" not in text


def test_a_hostile_name_in_the_log_is_text(house: House) -> None:
    AuditEvent.objects.create(kind="saw", action="page.run", via="web", subject="<script>x")
    page = house.visitor("staff").get("/audit").content.decode()
    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page
