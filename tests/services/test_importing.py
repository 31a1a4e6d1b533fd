"""What an import was asked for: duplicates, all or nothing, every answer; and what goes wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone, translation

from refinement.models import Dataset, KeptRecord, Project, Sample
from refinement.selectors.records import parts_of, shape_of_dataset
from refinement.services import import_reader, importing
from refinement.services.datasets import (
    cancel_import,
    create_dataset,
    import_dataset,
    start_import,
)
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from tests.services.test_datasets import alpaca

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

Status = Dataset.Status
WORDS = " ".join(f"word{n}" for n in range(40))


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    """Whatever language a page spoke before."""
    with translation.override("en"):
        yield


@pytest.fixture
def draft(
    transactional_db: None, tmp_path: Path, settings: SettingsWrapper
) -> Iterator[Callable[..., Dataset]]:
    """Stores records as a draft; nobody hears that there is work."""
    settings.MEDIA_ROOT = tmp_path
    project = Project.objects.create(name="Cooking")

    def draft(*records: Any) -> Dataset:
        return create_dataset(
            project=project,
            name="",
            upload=ContentFile("".join(json.dumps(r) + "\n" for r in records).encode()),
            filename="a.jsonl",
            user=None,
            draft=True,
        )

    with delivered_to(lambda _task, _pk: None):
        yield draft


def read(dataset: Dataset, **options: Any) -> Dataset:
    start_import(dataset=dataset, **options)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    return dataset


@pytest.mark.parametrize(("choice", "left"), [("keep", 5), ("exact", 3), ("near", 2)])
def test_duplicates_are_skipped_as_chosen(
    draft: Callable[..., Dataset], choice: str, left: int
) -> None:
    one, other = alpaca(1, output=WORDS), alpaca(2)
    near = alpaca(1, output=WORDS.replace("word7 ", "another "))
    dataset = read(draft(one, other, one, near, {**other, "id": 7}), options={"duplicates": choice})
    assert (dataset.sample_count, dataset.skipped_count) == (left, 5 - left)
    assert list(dataset.samples.values_list("position", flat=True)) == list(range(left))
    assert dataset.profile["duplicates"] == {"exact": 2, "near": 1, "looked_at": 5}


def test_all_or_nothing_means_nothing(draft: Callable[..., Dataset]) -> None:
    dataset = read(draft(alpaca(1), {"instruction": "a"}, alpaca(2)), options={"bad": "refuse"})
    assert dataset.status == Status.FAILED
    assert dataset.error.startswith("1 of the 3 records cannot be used, and you asked for all")
    assert not dataset.samples.exists()
    assert dataset.rejected_rows.get().line == 2


def test_chats_are_put_together_again_from_their_samples(draft: Callable[..., Dataset]) -> None:
    turns = [
        {"role": "user", "content": "Hi", "n": 1},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": "Bye"}]},
        {"role": "assistant", "content": "Ciao"},
    ]
    records = [{"id": n, "messages": turns, "z": None} for n in range(3)]
    kept = {"messages": turns[:1]}
    dataset = read(
        draft(records[0], kept, *records[1:]), format="messages", options={"turns": "every"}
    )
    assert (dataset.sample_count, dataset.kept_count, dataset.record_count) == (6, 1, 4)
    shape = shape_of_dataset(dataset)
    written: dict[int, Any] = {row.position: row.record for row in KeptRecord.objects.all()}
    for first in dataset.samples.filter(part=0):
        parts = Sample.objects.filter(position__in=[first.position, first.position + 1])
        written[first.position] = shape.write([parts_of(sample) for sample in parts])
    assert [json.dumps(written[n]) for n in sorted(written)] == [
        json.dumps(record) for record in (records[0], kept, *records[1:])
    ]


def test_an_import_goes_on_from_what_is_stored(
    draft: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [alpaca(n) if n % 7 else {"output": "b"} for n in range(3500)]
    dataset = draft(*records)
    start_import(dataset=dataset, options={"duplicates": "exact"})
    save, saved = importing.Import._save, []

    def die(self: Any, *args: Any) -> None:
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(save(self, *args))

    with monkeypatch.context() as patched:
        patched.setattr(importing.Import, "_save", die)
        with pytest.raises(KeyboardInterrupt):
            import_dataset(dataset_id=dataset.pk)
    first = list(dataset.samples.values_list("pk", flat=True))
    assert len(first) == 1714
    gone = timezone.now() - timedelta(seconds=1)
    Dataset.objects.update(lease_expires_at=gone)
    monkeypatch.setattr(import_reader, "BATCH_RECORDS", 300)  # another version's
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.sample_count, dataset.rejected_count) == ("ready", 3000, 500)
    assert list(dataset.samples.values_list("pk", flat=True))[: len(first)] == first
    assert list(dataset.samples.values_list("position", "line")) == [
        (place, n + 1) for place, n in enumerate(n for n in range(3500) if n % 7)
    ]
    assert dataset.rejected_rows.count() == 500
    assert dataset.profile["pairs"] == 3000


def test_a_place_that_kills_workers_ends_the_import(draft: Callable[..., Dataset]) -> None:
    dataset = draft(*map(alpaca, range(5)))
    start_import(dataset=dataset)
    Dataset.objects.update(attempts=importing.MAX_DEATHS, record_count=2)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert dataset.status == Status.FAILED
    assert "3 workers died one after the other while they read what follows record 2" in (
        dataset.error
    )


def test_a_cancelled_import_writes_nothing_more(
    draft: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draft(*map(alpaca, range(3000)))
    start_import(dataset=dataset)
    save = importing.Import._save

    def cancel_then_save(self: Any, *args: Any) -> None:
        save(self, *args)
        cancel_import(dataset=dataset)

    monkeypatch.setattr(importing.Import, "_save", cancel_then_save)
    import_dataset(dataset_id=dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.sample_count, dataset.record_count) == ("draft", 0, 0)
    assert not dataset.samples.exists()
    with pytest.raises(ServiceError):
        cancel_import(dataset=dataset)
