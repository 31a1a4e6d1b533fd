"""Exports: the preview, asking for a file, watching it, and taking it away."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.urls import reverse

from refinement.models import Export
from refinement.services.decisions import record_decision
from refinement.services.dispatch import delivered_to
from refinement.services.export_links import sign_link
from refinement.services.exports import write_export
from refinement.web import exports
from tests.web.conftest import House, alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def nobody_is_woken() -> Iterator[None]:
    """The tests do the work themselves, without a broker to wait for."""
    with delivered_to(lambda *_: None):
        yield


def exports_url(house: House) -> str:
    return reverse("exports", args=[house.room.run.pk])


def ask(house: House, client: Client | None = None, **changes: Any) -> Any:
    fields = {
        "token": str(uuid4()),
        "include": "kept",
        "shape": "as_imported",
        "container": "jsonl",
    } | changes
    url = reverse("export-new", args=[house.room.run.pk])
    return (client or house.visitor("owner")).post(url, fields)


def count_of(house: House, **changes: Any) -> str:
    fields = {"include": "kept", "shape": "as_imported", "container": "jsonl"} | changes
    url = reverse("export-count", args=[house.room.run.pk])
    return text_of(house.visitor("owner").get(url, fields).content.decode())


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


def test_many_pairs_are_counted_when_the_page_stands(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "COUNTED_AT_ONCE", 1)
    client, address = house.visitor("owner"), exports_url(house)
    page = client.get(address).content.decode()
    assert "1 of 2" in text_of(page)  # kept along with the queue
    assert "by the policy" not in page
    assert "Counting …" in page
    assert "row leaves" not in page
    assert f'hx-get="{address}?part=selected" hx-trigger="load"' in page
    assert 'hx-trigger="load, input from' in page
    selected = client.get(address, {"part": "selected"}, headers=HTMX)
    assert "1 of 2" in text_of(selected.content.decode())
    assert "0 by the policy, 0 dropped by hand, 1 failed" in text_of(selected.content.decode())
    assert "hx-get" not in selected.content.decode()
    narrowed = client.get(address, {"show": "kept"}).content.decode()
    assert 'href="?show=kept&amp;counted=1"' in narrowed  # for who has no scripts
    whole = client.get(address, {"show": "kept", "counted": "1"}).content.decode()
    assert "0 by the policy" in text_of(whole)
    assert "row leaves" in whole
    assert "Only pairs that the review queue shows" in whole


def test_only_an_owner_is_offered_a_new_export(house: House) -> None:
    assert "Write the file" in house.visitor("owner").get(exports_url(house)).content.decode()
    assert "Write the file" not in house.visitor("viewer").get(exports_url(house)).content.decode()


def test_an_export_is_asked_for_watched_and_taken_away(
    transactional_db: None, house: House
) -> None:
    client = house.visitor("owner")
    assert ask(house, client, columns=["lineage"])["Location"] == exports_url(house)
    export = Export.objects.latest("pk")
    assert (export.options["include"], export.options["columns"]) == ("kept", ["lineage"])
    page = client.get(exports_url(house)).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert "No worker is alive to write the file." in page
    alive("default")
    write_export(export_id=export.pk)
    page = client.get(exports_url(house)).content.decode()
    assert "every 2s" not in page
    export.refresh_from_db()
    assert export.sha256 in page
    answer = client.get(reverse("export-download", args=[export.pk]))
    lines = [json.loads(line) for line in b"".join(answer).splitlines()]
    assert len(lines) == export.row_count == 1
    assert lines[0]["srt"]["source"] == "response"
    assert answer["Content-Disposition"] == (
        f'attachment; filename="first-pass-export-{export.pk}.train.jsonl"'
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
        ({"shape": "x"}, "Select a valid choice"),
        ({"validation_percent": "99"}, "less than or equal to 90"),
        ({"columns": ["rank"]}, "Select a valid choice"),
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
    assert file.json() == house.export.manifest
    assert ".manifest.json" in file["Content-Disposition"]


# -- Before the click -----------------------------------------------------------------------------
def test_the_count_follows_the_form(house: House) -> None:
    assert "1 row leaves" in count_of(house)
    assert "2 rows leave" in count_of(house, include="all")
    assert "0 rows leave" in count_of(house, filter="show=decided")
    assert "cannot be said in this shape" not in count_of(house, shape="messages")
    assert "2 left out: no other response" in count_of(house, include="all", shape="dpo_text")
    assert "Ensure this value is less than or equal to 90." in count_of(
        house, validation_percent="95"
    )


def test_the_queue_leads_to_an_export_of_what_it_shows(house: House) -> None:
    client = house.visitor("owner")
    queue = reverse("review", args=[house.room.run.pk])
    page = client.get(queue, {"show": "kept", "q": "tips"}, follow=True).content.decode()
    link = re.search(r'href="([^"]+/exports\?[^"]+)"', page)
    assert link
    export = client.get(unescape(link[1])).content.decode()
    assert "Kept, “tips”" in export
    assert re.search(r'value="all"[^>]* checked', export)
    assert 'name="filter" value="q=tips&amp;show=kept' in export or "show=kept" in export
    assert "1 row leaves" in text_of(export)


def test_a_what_if_leads_to_its_export(house: House, transactional_db: None) -> None:
    client = house.visitor("owner")
    query = "what=if&policy_name=paper&max_ifd=0.01&max_r_ifd=0.5"
    answer = client.get(reverse("run-what-if", args=[house.room.run.pk]) + f"?{query}")
    link = re.search(r'href="([^"]+/exports\?policy=[^"]+)"', answer.content.decode())
    assert link
    page = client.get(unescape(link[1])).content.decode()
    assert "Under another policy than the run" in page
    assert "IFD below 0.01, r-IFD below 0.5" in page
    assert "about 0 rows leave" in text_of(page)
    assert ask(house, client, policy=query).status_code == 302
    export = Export.objects.latest("pk")
    assert (export.options["policy"]["max_ifd"], export.options["policy"]["name"]) == (
        0.01,
        "paper",
    )
    write_export(export_id=export.pk)
    export.refresh_from_db()
    assert (export.row_count, export.error) == (0, "")
    assert ask(house, client, policy="what=if&policy_name=worst").status_code == 422


def test_a_dataset_leaves_as_it_came(transactional_db: None, house: House) -> None:
    client, dataset = house.visitor("owner"), house.dataset
    place = reverse("dataset-exports", args=[dataset.pk])
    assert place in client.get(reverse("dataset", args=[dataset.pk])).content.decode()
    page = text_of(client.get(place).content.decode())
    assert "2 rows leave" in page
    fields = {"token": str(uuid4()), "shape": "messages", "container": "json"}
    client.post(reverse("dataset-export-new", args=[dataset.pk]), fields)
    export = Export.objects.latest("pk")
    assert (export.run, export.dataset) == (None, dataset)
    write_export(export_id=export.pk)
    answer = client.get(reverse("export-download", args=[export.pk]))
    assert [len(record["messages"]) for record in json.loads(b"".join(answer))] == [2, 2]
    assert client.get(reverse("export-manifest", args=[export.pk])).status_code == 200


def test_an_unready_dataset_is_said(house: House) -> None:
    house.dataset.status = "failed"
    house.dataset.save()
    fields = {"token": str(uuid4()), "shape": "messages", "container": "json"}
    url = reverse("dataset-export-new", args=[house.dataset.pk])
    answer = house.visitor("owner").post(url, fields)
    assert answer.status_code == 422
    assert "is not imported" in answer.content.decode()


# -- What comes of it -----------------------------------------------------------------------------
def test_all_files_as_an_archive(house: House) -> None:
    url = reverse("export-all", args=[house.export.pk])
    first, again = (b"".join(house.visitor("viewer").get(url)) for _ in range(2))
    assert first == again
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        (name,) = archive.namelist()
        assert name == f"first-pass-export-{house.export.pk}/train.jsonl"
        assert archive.read(name) == b"{}\n"


@pytest.mark.parametrize("name", ["../../secret_key", "other.jsonl", ".."])
def test_only_its_own_files_are_handed_out(house: House, name: str) -> None:
    place = reverse("export-download", args=[house.export.pk])
    assert house.visitor("owner").get(f"{place}/{quote(name, safe='')}").status_code == 404


def test_cancel_and_delete(house: House) -> None:
    client = house.visitor("owner")
    ask(house, client)
    export = Export.objects.latest("pk")
    client.post(reverse("export-cancel", args=[export.pk]))
    export.refresh_from_db()
    assert export.status == Export.Status.CANCELLED
    client.post(reverse("export-delete", args=[export.pk]))
    assert not Export.objects.filter(pk=export.pk).exists()


def test_a_link_works_without_a_login_until_the_export_is_deleted(
    transactional_db: None, house: House
) -> None:
    owner, nobody = house.visitor("owner"), house.visitor("anonymous")
    page = owner.post(reverse("export-link", args=[house.export.pk]), {"days": 1})
    link = re.search(r"http://testserver(/shared/[^<\s]+)", page.content.decode())
    assert link is not None
    answer = nobody.get(link[1])
    assert b"".join(answer) == b"{}\n"
    assert nobody.get(f"{link[1]}x").status_code == 404
    owner.post(reverse("export-delete", args=[house.export.pk]))
    assert nobody.get(link[1]).status_code == 404


def test_a_link_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = sign_link(export=house.export, valid_for=timedelta(days=1))
    place = reverse("export-link-file", args=[signed])
    assert house.visitor("anonymous").get(place).status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    assert house.visitor("anonymous").get(place).status_code == 404


def test_a_push_is_asked_for(house: House) -> None:
    client = house.visitor("owner")
    place = reverse("export-push", args=[house.export.pk])
    fields = {"token": str(uuid4()), "repository": "me/pairs", "token_variable": "HF_TOKEN"}
    assert client.post(place, fields).status_code == 302
    (push,) = house.export.pushes.all()
    assert (push.repository, push.private, push.status) == ("me/pairs", False, "pending")
    assert (
        "me/pairs"
        in client.get(reverse("export-manifest", args=[house.export.pk])).content.decode()
    )
    for wrong in ({"repository": "pairs"}, {"token_variable": "SRT_SECRET_KEY"}):
        answer = client.post(place, fields | {"token": str(uuid4())} | wrong)
        assert answer.status_code == 422
    assert house.export.pushes.count() == 1
