"""Between an upload and its import: preview, mapping, dry run, stop, and trying again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse

from refinement.models import Dataset
from refinement.services.datasets import create_dataset, import_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from tests.web.conftest import House

SEEDS = [
    {"id": 1, "instruction": "Name a fruit.", "instances": [{"input": "red", "output": "Apple."}]},
    {"id": 2, "instruction": "Name a fish.", "instances": [{"input": "", "output": "Cod."}]},
]


@pytest.fixture
def files(tmp_path: Path, settings: SettingsWrapper) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def draft(house: House, records: list[Any] | str) -> Dataset:
    lines = records if isinstance(records, str) else "".join(json.dumps(r) + "\n" for r in records)
    return create_dataset(
        project=house.room.project,
        name="Seeds",
        upload=ContentFile(lines.encode()),
        filename="seeds.jsonl",
        user=house.room.owner,
        draft=True,
    )


def page(house: House, dataset: Dataset, who: str = "owner") -> str:
    return house.visitor(who).get(reverse("dataset", args=[dataset.pk])).content.decode()


def preview(house: House, dataset: Dataset, **form: str) -> str:
    url = reverse("dataset-prepare", args=[dataset.pk])
    return house.visitor("owner").get(url, form).content.decode()


def send(house: House, name: str, dataset: Dataset, **form: str) -> Dataset:
    house.visitor("owner").post(reverse(name, args=[dataset.pk]), form)
    dataset.refresh_from_db()
    return dataset


def test_the_page_shows_what_was_found_and_the_first_records(house: House, files: Path) -> None:
    text = page(house, draft(house, SEEDS))
    assert 'value="instances[0].output"' in text
    assert "JSON Lines with 2 records." in text
    for words in ("Name a fruit.", "Apple.", "Kept beside it: id"):
        assert words in text
    assert "Start a run" not in text


def test_only_owners_decide_how_a_file_is_read(house: House, files: Path) -> None:
    dataset = draft(house, SEEDS)
    text = page(house, dataset, "viewer")
    assert "An owner of the project decides how it is read." in text
    assert "prepare-form" not in text
    for name in ("dataset-import", "dataset-stop", "dataset-again"):
        url = reverse(name, args=[dataset.pk])
        assert house.visitor("reviewer").post(url).status_code == 403
        assert house.visitor("stranger").post(url).status_code == 404


def test_another_mapping_is_seen_at_once(house: House, files: Path) -> None:
    dataset = draft(house, SEEDS)
    text = preview(
        house,
        dataset,
        format="fields",
        was="fields",
        map_instruction="instruction",
        map_output="id",
    )
    assert "Refused:</strong> the field &#x27;id&#x27; is a number, not text." in text
    other = preview(house, dataset, format="messages", was="fields")
    assert "the field &#x27;messages&#x27; is missing" in other
    assert "Every answer of each chat" in other
    empty = preview(house, dataset, format="fields", was="fields", map_instruction="instruction")
    assert "no field was chosen for the output" in empty


def test_a_mapping_is_imported_kept_and_offered_again(house: House, files: Path) -> None:
    first = send(
        house,
        "dataset-import",
        draft(house, SEEDS),
        format="fields",
        map_instruction="id_text",
        map_output="instances[0].output",
        then="import",
    )
    Dataset.objects.filter(pk=first.pk).update(
        status="ready", mapping={"instruction": "instances[0].output", "output": "instruction"}
    )
    text = page(house, draft(house, SEEDS))
    assert "The fields are chosen as for “Seeds”" in text


def test_a_dry_run_tells_and_takes_nothing_in(house: House, files: Path) -> None:
    dataset = draft(house, [*SEEDS, {"instruction": "No answer.", "instances": []}, SEEDS[0]])
    send(
        house,
        "dataset-import",
        dataset,
        format="fields",
        map_instruction="instruction",
        map_output="instances[0].output",
        then="check",
    )
    assert (dataset.status, dataset.dry_run) == ("pending", True)
    assert "nothing is taken in" in page(house, dataset)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.sample_count, dataset.rejected_count) == ("draft", 3, 1)
    assert not dataset.samples.exists()
    text = page(house, dataset)
    assert "3 pairs would go in, 1 record would be refused." in text
    assert "the field &#x27;instances[0].output&#x27; is missing" in text
    assert "the same as an earlier pair" in text
    assert "<rect" in text
    assert 'value="instances[0].output"' in text


def test_an_import_can_be_stopped_and_begun_again(house: House, files: Path) -> None:
    dataset = draft(house, SEEDS)
    form = {
        "format": "fields",
        "map_instruction": "instruction",
        "map_output": "instances[0].output",
        "then": "import",
    }
    send(house, "dataset-import", dataset, **form)
    assert 'id="stop-import"' in page(house, dataset)
    assert send(house, "dataset-stop", dataset).status == "draft"
    send(house, "dataset-import", dataset, **form)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.sample_count) == ("ready", 2)
    assert (
        "has ended already"
        in house.visitor("owner")
        .post(reverse("dataset-stop", args=[dataset.pk]), follow=True)
        .content.decode()
    )


def test_a_failed_import_can_be_tried_in_another_way(house: House, files: Path) -> None:
    dataset = draft(house, SEEDS)
    send(
        house,
        "dataset-import",
        dataset,
        format="alpaca",
        map_instruction="instruction",
        map_output="output",
        then="import",
    )
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert dataset.status == "failed"
    assert "Choose format and fields again" in page(house, dataset)
    assert send(house, "dataset-again", dataset).status == "draft"
    assert not dataset.rejected_rows.exists()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"format": "nonsense"}, "There is no format “nonsense”."),
        ({"format": "fields", "map_output": "a"}, "Choose the field that holds what is asked."),
        ({"format": "alpaca", "map_x": "a"}, "This mapping does not fit"),
        ({"format": "alpaca", "duplicates": "some"}, "An import knows no “duplicates” of “some”."),
    ],
)
def test_a_choice_that_makes_no_sense_is_said(
    house: House, files: Path, form: dict[str, str], said: str
) -> None:
    dataset = draft(house, SEEDS)
    url = reverse("dataset-import", args=[dataset.pk])
    answer = house.visitor("owner").post(url, form, follow=True)
    assert said in answer.content.decode()
    dataset.refresh_from_db()
    assert dataset.status == "draft"


def test_a_file_that_cannot_be_read_says_so_before_the_import(house: House, files: Path) -> None:
    text = page(house, draft(house, "%PDF-1.7"))
    assert "The file is a PDF document." in text
    assert "prepare-form" not in text


def test_chats_show_what_is_before_and_what_is_kept(house: House, files: Path) -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "Ciao"},
    ]
    dataset = draft(house, [{"messages": turns}, {"messages": turns[:1]}])
    text = page(house, dataset)
    assert "2 turns before" in text
    assert "Kept as it is:</strong> it has no turn of the assistant." in text
    every = preview(house, dataset, format="messages", was="sharegpt", turns="every")
    assert "Hello" in every
    send(house, "dataset-import", dataset, format="messages", turns="every", then="import")
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.sample_count, dataset.kept_count) == (2, 1)
    assert [(s.position, s.part) for s in dataset.samples.all()] == [(0, 0), (1, 1)]
    text = page(house, dataset)
    assert "Kept as they are" in text
    assert "an export gives them back unchanged" in text
