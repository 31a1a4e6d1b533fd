"""Exports: the preview, asking for a file, watching it, and taking it away."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.urls import reverse

from refinement.models import Export
from refinement.services.decisions import record_decision
from refinement.services.exports import write_export
from tests.web.conftest import House, alive

if TYPE_CHECKING:
    from django.test import Client

HTMX = {"HX-Request": "true"}


def exports_url(house: House) -> str:
    return reverse("exports", args=[house.room.run.pk])


def ask(house: House, client: Client | None = None, **changes: Any) -> Any:
    fields = {"token": str(uuid4()), "include": "kept"} | changes
    url = reverse("export-new", args=[house.room.run.pk])
    return (client or house.visitor("owner")).post(url, fields)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_counts_what_would_leave(house: House) -> None:
    text = text_of(house.visitor("viewer").get(exports_url(house)).content.decode())
    assert "Kept pairs 1 of 2" in text
    assert "response rewritten 1" in text
    assert "1 failed" in text
    record_decision(run_sample=house.room.pairs[0], user=house.room.owner, action="drop", seen=0)
    text = text_of(house.visitor("viewer").get(exports_url(house)).content.decode())
    assert "Kept pairs 0 of 2" in text
    assert "1 dropped by hand" in text


def test_only_an_owner_is_offered_a_new_export(house: House) -> None:
    assert "Write the file" in house.visitor("owner").get(exports_url(house)).content.decode()
    assert "Write the file" not in house.visitor("viewer").get(exports_url(house)).content.decode()


def test_an_export_is_asked_for_watched_and_taken_away(house: House) -> None:
    client = house.visitor("owner")
    assert ask(house, client, with_scores="on")["Location"] == exports_url(house)
    export = Export.objects.latest("pk")
    assert export.options == {"include": "kept", "with_scores": True}
    page = client.get(exports_url(house)).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert "No worker is alive to write the file." in page
    alive("default")
    write_export(export_id=export.pk)
    page = client.get(exports_url(house)).content.decode()
    assert "hx-trigger" not in page
    export.refresh_from_db()
    assert export.sha256 in page
    answer = client.get(reverse("export-download", args=[export.pk]))
    lines = [json.loads(line) for line in b"".join(answer).splitlines()]
    assert len(lines) == export.row_count == 1
    assert lines[0]["srt"]["source"] == "response"
    assert answer["Content-Disposition"] == (
        f'attachment; filename="first-pass-export-{export.pk}.jsonl"'
    )


def test_a_poll_brings_the_list_alone(house: House) -> None:
    client = house.visitor("owner", **HTMX)
    ask(house, client)
    first = client.get(exports_url(house), {"part": "live"}).content.decode()
    assert "<html" not in first
    seen = first.partition("seen=")[2].partition('"')[0]
    again = client.get(exports_url(house), {"part": "live", "seen": seen})
    assert again.status_code == 204


def test_one_form_sent_twice_asks_for_one_file(house: House) -> None:
    token, before = str(uuid4()), Export.objects.count()
    ask(house, token=token)
    ask(house, token=token)
    assert Export.objects.count() == before + 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"include": "some"}, "not one of the available choices"),
        ({"include": ""}, "This field is required"),
        ({"token": ""}, "This form is out of date."),
    ],
)
def test_options_that_do_not_exist(changes: dict[str, Any], complaint: str, house: House) -> None:
    before = Export.objects.count()
    answer = ask(house, **changes)
    assert answer.status_code == 422
    assert complaint in answer.content.decode()
    assert Export.objects.count() == before


@pytest.mark.parametrize("name", ["export-download", "export-manifest"])
def test_what_is_not_written_yet_cannot_be_taken(name: str, house: House) -> None:
    house.export.status = Export.Status.WRITING
    house.export.save()
    answer = house.visitor("owner").get(reverse(name, args=[house.export.pk]), follow=True)
    assert answer.redirect_chain[-1][0] == exports_url(house)
    assert "not written yet" in answer.content.decode()


def test_a_file_that_is_gone_is_said(house: House) -> None:
    house.export.file.storage.delete(house.export.file.name)
    url = reverse("export-download", args=[house.export.pk])
    answer = house.visitor("owner").get(url, follow=True)
    assert "The stored file is gone from the server." in answer.content.decode()


def test_a_failed_export_says_why(house: House) -> None:
    house.export.status, house.export.error = Export.Status.FAILED, "The disk is full."
    house.export.save()
    assert "The disk is full." in house.visitor("owner").get(exports_url(house)).content.decode()


def test_the_manifest_is_read_and_kept(house: House) -> None:
    client = house.visitor("viewer")
    page = client.get(reverse("export-manifest", args=[house.export.pk])).content.decode()
    assert house.export.sha256 in page
    file = client.get(reverse("export-manifest-file", args=[house.export.pk]))
    assert file.json() == {"file": {"rows": 1}}
    assert ".manifest.json" in file["Content-Disposition"]
