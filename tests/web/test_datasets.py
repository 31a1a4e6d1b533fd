"""Uploading, watching the import, and reading what came in and what did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse

from refinement.models import Dataset, Sample
from refinement.services.datasets import import_dataset
from tests.web.conftest import House, alive

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

HTMX = {"HX-Request": "true"}
RECORDS = [{"instruction": "Name a fruit.", "input": "", "output": "A pear."}]


def upload(
    house: House, client: Client | None = None, *, content: bytes | None = None, **data: Any
) -> Any:
    body = json.dumps(RECORDS).encode() if content is None else content
    file = SimpleUploadedFile(data.pop("filename", "fruit.json"), body)
    fields = {"token": str(uuid4()), "name": "", "file": file, "whole": "yes"} | data
    url = reverse("dataset-upload", args=[house.room.project.pk])
    return (client or house.visitor("owner")).post(url, fields)


def page(house: House, dataset: Dataset, query: str = "", **headers: str) -> str:
    url = reverse("dataset", args=[dataset.pk]) + query
    return house.visitor("owner", **headers).get(url).content.decode()


def newest() -> Dataset:
    return Dataset.objects.latest("pk")


def begin_import(house: House, dataset: Dataset, **fields: str) -> None:
    chosen = {"format": "alpaca", "map_instruction": "instruction", "map_output": "output"}
    url = reverse("dataset-import", args=[dataset.pk])
    house.visitor("owner").post(url, {**chosen, "then": "import", **fields})
    dataset.refresh_from_db()


def test_an_upload_becomes_a_dataset_that_waits_for_a_worker(house: House) -> None:
    answer = upload(house)
    dataset = newest()
    assert answer["Location"] == reverse("dataset", args=[dataset.pk])
    assert (dataset.name, dataset.filename, dataset.status) == ("fruit", "fruit.json", "draft")
    begin_import(house, dataset)
    assert dataset.status == "pending"
    text = page(house, dataset)
    assert "Waiting for a worker to read the file." in text
    assert "No worker is alive to read the file." in text
    alive("default")
    assert "No worker is alive" not in page(house, dataset)


def test_htmx_is_sent_on_by_a_header(house: House) -> None:
    answer = upload(house, house.visitor("owner", **HTMX))
    assert answer["HX-Redirect"] == reverse("dataset", args=[newest().pk])


def test_the_imported_pairs_can_be_read_and_a_run_started(house: House) -> None:
    upload(house, name="Fruit of the month")
    dataset = newest()
    begin_import(house, dataset)
    import_dataset(dataset_id=dataset.pk)
    text = page(house, dataset)
    for words in ("Fruit of the month", "Name a fruit.", "A pear.", "Start a run", "Ready"):
        assert words in text


def test_one_form_sent_twice_stores_one_file(house: House) -> None:
    client, token, before = house.visitor("owner"), str(uuid4()), Dataset.objects.count()
    first = upload(house, client, token=token)
    second = upload(house, client, token=token)
    assert Dataset.objects.count() == before + 1
    assert first["Location"] == second["Location"]
    assert "sent already" in client.get(second["Location"]).content.decode()


def test_a_refused_form_may_be_sent_again(house: House) -> None:
    token = str(uuid4())
    assert upload(house, token=token, content=b"").status_code == 422
    assert upload(house, token=token).status_code == 302


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"file": ""}, "Choose a file."),
        ({"content": b""}, "The file is empty."),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"token": "nonsense"}, "This form is out of date."),
        ({"token": ""}, "This form is out of date."),
        ({"whole": ""}, "The upload was cut off half-way."),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    changes: dict[str, Any], complaint: str, house: House
) -> None:
    before = Dataset.objects.count()
    answer = upload(house, **changes)
    assert answer.status_code == 422
    assert complaint in answer.content.decode()
    assert "<html" in answer.content.decode()
    assert Dataset.objects.count() == before


def test_htmx_gets_the_refused_form_alone(house: House) -> None:
    answer = upload(house, house.visitor("owner", **HTMX), content=b"")
    text = answer.content.decode()
    assert answer.status_code == 422
    assert text.lstrip().startswith("<form")
    assert "<html" not in text


def test_an_upload_that_breaks_off_stores_nothing(house: House) -> None:
    """The last field of the form is missing, and so is the end of the file."""
    fields = {
        "token": str(uuid4()),
        "name": "",
        "file": SimpleUploadedFile("big.json", b"[" + b" " * 100_000 + b"]"),
        "whole": "yes",
    }
    body = encode_multipart(BOUNDARY, fields)
    before = Dataset.objects.count()
    answer = house.visitor("owner").generic(
        "POST",
        reverse("dataset-upload", args=[house.room.project.pk]),
        body[: len(body) // 2],
        content_type=MULTIPART_CONTENT,
    )
    assert answer.status_code in {400, 422}
    assert Dataset.objects.count() == before


def test_a_file_above_the_limit_is_refused_while_it_arrives(
    house: House, settings: SettingsWrapper
) -> None:
    settings.UPLOAD_LIMIT_BYTES = 1000
    answer = upload(house, content=b"[" + b" " * 2000 + b"]")
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "the limit is 1000" in text
    assert "Split it, and upload the parts." in text


def test_a_file_that_announces_too_much_is_not_even_stored(
    house: House, settings: SettingsWrapper
) -> None:
    settings.UPLOAD_LIMIT_BYTES = 1000
    answer = upload(house, content=b" " * (2 * 1024**2))
    assert "The file has 2.0" in answer.content.decode()


def test_a_full_disk_is_said_in_one_sentence(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refinement.web.uploads._RESERVE", 10**18)
    answer = upload(house)
    assert answer.status_code == 422
    assert "disk has no room left for this file" in answer.content.decode()


# -- The page -------------------------------------------------------------------------------------


def test_a_poll_is_answered_with_news_or_with_nothing(house: House) -> None:
    dataset = house.dataset
    dataset.status, dataset.size_bytes, dataset.read_bytes = "importing", 1000, 100
    dataset.save()
    client = house.visitor("owner", **HTMX)
    url = reverse("dataset", args=[dataset.pk]) + "?part=live"
    first = client.get(url).content.decode()
    assert "10 %" in first
    assert 'hx-trigger="every 2s"' in first
    seen = first.partition("seen=")[2].partition('"')[0]
    assert client.get(f"{url}&seen={seen}").status_code == 204
    dataset.read_bytes = 500
    dataset.save()
    second = client.get(f"{url}&seen={seen}")
    assert second.status_code == 200
    assert "50 %" in second.content.decode()


def test_polling_ends_with_the_import(house: House) -> None:
    text = page(house, house.dataset, "?part=live", **HTMX)
    assert "<html" not in text
    assert "hx-trigger" not in text


def test_a_failed_import_says_why_and_what_to_do(house: House) -> None:
    house.refuse(45)
    dataset = house.dataset
    dataset.status, dataset.error = "failed", "Line 7: this is not JSON."
    dataset.save()
    text = page(house, dataset)
    assert "nothing was taken in" in text
    assert "Line 7: this is not JSON." in text
    assert "upload it again" in text
    assert "Start a run" not in text


def test_refused_records_come_in_pages(house: House) -> None:
    house.refuse(45)
    first = page(house, house.dataset)
    assert "1–20 of 45" in first
    last = page(house, house.dataset, "?rejected=3")
    assert "41–45 of 45" in last
    assert "the field is missing (45)" in last
    alone = page(house, house.dataset, "?part=rejected&rejected=2", **HTMX)
    assert "21–40 of 45" in alone
    assert "<html" not in alone


@pytest.mark.parametrize("number", ["0", "999", "-1", "x", ""])
def test_a_page_that_does_not_exist_is_the_nearest_one(number: str, house: House) -> None:
    house.refuse(45)
    assert "of 45" in page(house, house.dataset, f"?rejected={number}&samples={number}")


def test_pairs_come_in_pages(house: House) -> None:
    Sample.objects.bulk_create(
        Sample(
            dataset=house.dataset,
            position=number,
            line=number,
            instruction=f"Question {number}",
            response="Answer",
            content_hash="0" * 64,
        )
        for number in range(2, 12)
    )
    house.dataset.sample_count = 12
    house.dataset.save()
    alone = page(house, house.dataset, "?part=samples&samples=2", **HTMX)
    assert "6–10 of 12" in alone
    assert "Question 7" in alone
    assert "Question 2<" not in alone


def test_every_refused_record_leaves_as_jsonl(house: House) -> None:
    house.refuse(25, excerpt='{"a": "<b>ü"')
    answer = house.visitor("viewer").get(reverse("dataset-rejected", args=[house.dataset.pk]))
    lines = [json.loads(line) for line in b"".join(answer).decode().splitlines()]
    assert len(lines) == 25
    assert lines[0] == {
        "line": 1,
        "field": "output",
        "reason": "the field is missing (1)",
        "excerpt": '{"a": "<b>ü"',
    }
    assert 'filename="tips-rejected.jsonl"' in answer["Content-Disposition"]


def test_a_dataset_in_use_is_not_deleted_and_another_is(house: House) -> None:
    client = house.visitor("owner")
    used = client.post(reverse("dataset-delete", args=[house.dataset.pk]), follow=True)
    assert "is used by runs (First pass)" in used.content.decode()
    upload(house, client)
    dataset = newest()
    answer = client.post(reverse("dataset-delete", args=[dataset.pk]), follow=True)
    assert "“fruit” and its file are deleted." in answer.content.decode()
    assert not Dataset.objects.filter(pk=dataset.pk).exists()
