"""What leaves of a run: filter, duplicates, the best, split, preference pairs, cancel, delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets as hf_datasets
import pytest

from refinement.method.pairs import Pair
from refinement.models import Export, Score
from refinement.selectors.snapshot import snapshot
from refinement.services import exports
from refinement.services.decisions import record_decision
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from refinement.services.export_counts import count_leaving
from refinement.services.export_options import ExportOptions
from refinement.services.export_stream import ExportStream
from refinement.services.exports import (
    cancel_export,
    create_export,
    delete_export,
    export_to_folder,
    write_export,
)
from tests.review_room import TIPS, TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import SettingsWrapper

EDIT = Pair(TIPS.instruction, "My own answer.")


@pytest.fixture(autouse=True)
def nobody_is_woken() -> Iterator[None]:
    """The tests do the work themselves, without a broker to wait for."""
    with delivered_to(lambda *_: None):
        yield


@pytest.fixture
def room(transactional_db: None, tmp_path: Path, settings: SettingsWrapper) -> Room:
    settings.MEDIA_ROOT = tmp_path / "files"
    return make_room()


def leave(room: Room, folder: Path, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The manifest, and the records of all files; the counts before the click agree."""
    before = count_leaving(run=room.run, options=options)
    manifest = export_to_folder(run=room.run, folder=folder, options=options)
    assert [file["rows"] for file in manifest["files"]] == (
        [before.train, before.validation] if options.get("validation_percent") else [before.train]
    )
    assert manifest["left_out"] == before.left_out
    lines = [
        line
        for file in manifest["files"]
        for line in (folder / file["name"]).read_text("utf-8").splitlines()
    ]
    return manifest, [json.loads(line) for line in lines]


def many(room: Room, count: int) -> None:
    """Pairs with different texts; the IFD of what leaves rises with the number."""
    for n in range(count):
        room.add(
            Pair(f"Question {n}", f"Answer {n}"),
            response=Pair(f"Question {n}", f"Better answer {n}"),
            ifd=(0.5, 0.6 + n / 1000),
        )


# -- Which ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("narrowed", [{"q": "answer 2"}, {"turns": '{"max_ifd":0.602}'}])
def test_words_and_turned_pairs_narrow_too(
    room: Room, tmp_path: Path, narrowed: dict[str, str]
) -> None:
    many(room, 3)
    _, records = leave(room, tmp_path / "out", filter=narrowed)
    assert [record["instruction"] for record in records] == ["Question 2"]


def test_the_queues_filter_narrows(room: Room, tmp_path: Path) -> None:
    many(room, 3)
    record_decision(run_sample=room.pairs[1], user=room.reviewer, action="accept")
    manifest, records = leave(room, tmp_path / "out", filter={"show": "decided"})
    assert [record["instruction"] for record in records] == ["Question 1"]
    assert manifest["counts"]["total"] == 1


def test_unscorable_texts_are_those_of_the_filter_and_of_the_moment(
    room: Room, tmp_path: Path
) -> None:
    many(room, 3)
    for pair in room.pairs[:2]:
        Score.objects.filter(run_sample=pair).update(status="unscorable")
    record_decision(run_sample=room.pairs[1], user=room.reviewer, action="original")
    manifest, _ = leave(room, tmp_path / "decided", filter={"show": "decided"})
    assert manifest["counts"]["unscorable"] == {"originals": 1, "rewrites": 1}
    with snapshot() as using:
        stream = ExportStream(room.run.dataset, room.run, ExportOptions(), using)
        assert stream.unscorable() == {"originals": 2, "rewrites": 2}
        Score.objects.update(status="unscorable")
        assert stream.unscorable() == {"originals": 2, "rewrites": 2}
    manifest, _ = leave(room, tmp_path / "all")
    assert manifest["counts"]["unscorable"] == {"originals": 3, "rewrites": 3}


def test_duplicates_leave_once(room: Room, tmp_path: Path) -> None:
    for _ in range(3):
        room.add(response=TIPS_RESPONSE)
    room.add(instruction=TIPS_INSTRUCTION)
    manifest, records = leave(room, tmp_path / "out", deduplicate=True)
    assert [record["output"] for record in records] == [
        TIPS_RESPONSE.response,
        TIPS_INSTRUCTION.response,
    ]
    assert manifest["left_out"] == {"duplicate": 2}


@pytest.mark.parametrize(("percent", "kept"), [(10, [9]), (11, [8, 9]), (100, list(range(10)))])
def test_the_best_by_ifd(room: Room, tmp_path: Path, percent: float, kept: list[int]) -> None:
    many(room, 10)
    _, records = leave(room, tmp_path / "out", top_percent=percent)
    assert [record["instruction"] for record in records] == [f"Question {n}" for n in kept]


def test_the_best_by_r_ifd_and_ties_go_to_the_first(room: Room, tmp_path: Path) -> None:
    for n, r_ifd in enumerate([0.5, 0.3, 0.3, 0.3]):
        text = f"Question {n}"
        room.add(Pair(text, "a"), response=Pair(text, "b"), r_ifd=(0.7, r_ifd))
    _, records = leave(room, tmp_path / "out", top_percent=50, top_by="r_ifd")
    assert [record["instruction"] for record in records] == ["Question 1", "Question 2"]


def test_what_has_no_score_is_not_among_the_best(room: Room, tmp_path: Path) -> None:
    many(room, 2)
    record_decision(run_sample=room.pairs[1], user=room.reviewer, action="edit", edit=EDIT)
    manifest, records = leave(room, tmp_path / "out", top_percent=100)
    assert [record["instruction"] for record in records] == ["Question 0"]
    assert manifest["left_out"] == {"below_the_cut": 1}


def test_the_best_are_sought_among_the_distinct(room: Room, tmp_path: Path) -> None:
    for _ in range(8):
        room.add(response=TIPS_RESPONSE, ifd=(0.5, 0.9))
    many(room, 1)
    manifest, records = leave(room, tmp_path / "out", top_percent=50, deduplicate=True)
    assert [record["output"] for record in records] == [TIPS_RESPONSE.response]
    assert manifest["left_out"] == {"below_the_cut": 1, "duplicate": 7}


# -- The split ------------------------------------------------------------------------------------
def split(room: Room, folder: Path, **options: Any) -> set[str]:
    leave(room, folder, validation_percent=30, **options)
    lines = (folder / "validation.jsonl").read_text("utf-8").splitlines()
    return {json.loads(line)["instruction"].removeprefix("New ") for line in lines}


def test_the_split_depends_on_seed_and_original_alone(room: Room, tmp_path: Path) -> None:
    many(room, 60)
    first = split(room, tmp_path / "a")
    assert 5 <= len(first) <= 35
    assert split(room, tmp_path / "b", seed=7) != first
    for row in room.pairs[::3]:
        edit = Pair(f"New {row.sample.instruction}", "x")
        record_decision(run_sample=row, user=room.reviewer, action="edit", edit=edit)
    record_decision(run_sample=room.pairs[1], user=room.reviewer, action="drop")
    assert split(room, tmp_path / "c") == first - {"Question 1"}


def test_a_folder_is_what_load_dataset_reads(room: Room, tmp_path: Path) -> None:
    many(room, 30)
    _, records = leave(room, tmp_path / "out", validation_percent=30)
    loaded = hf_datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"}
    assert [*loaded["train"], *loaded["validation"]] == records


# -- Preference pairs -----------------------------------------------------------------------------
def rejected(room: Room, folder: Path, **options: Any) -> list[tuple[str, str, str]]:
    _, records = leave(room, folder, shape="dpo_text", **options)
    return [(record["prompt"], record["chosen"], record["rejected"]) for record in records]


BETTER = Pair(TIPS_INSTRUCTION.instruction, "A better answer.")


def test_a_response_that_won_beat_the_one_it_rewrote(room: Room, tmp_path: Path) -> None:
    room.add(response=TIPS_RESPONSE)
    room.add(instruction=TIPS_INSTRUCTION, response=BETTER, ifd=(0.6, 0.8))
    assert rejected(room, tmp_path / "out") == [
        (TIPS.instruction, TIPS_RESPONSE.response, TIPS.response),
        (BETTER.instruction, BETTER.response, TIPS_INSTRUCTION.response),
    ]


def test_a_response_that_lost_was_beaten(room: Room, tmp_path: Path) -> None:
    room.add(response=TIPS_RESPONSE, r_ifd=(0.5, 0.6), kept=False)
    assert rejected(room, tmp_path / "out", include="all") == [
        (TIPS.instruction, TIPS.response, TIPS_RESPONSE.response)
    ]


def test_another_instruction_teaches_no_preference(room: Room, tmp_path: Path) -> None:
    room.add(instruction=TIPS_INSTRUCTION)
    room.add(state="failed", error="Cut off.")
    manifest, records = leave(room, tmp_path / "out", shape="dpo_text", include="all")
    assert records == []
    assert manifest["left_out"] == {"beat_nothing": 2}


@pytest.mark.parametrize("action", ["original", "edit"])
def test_what_a_person_took_beat_what_the_student_took(
    room: Room, tmp_path: Path, action: str
) -> None:
    row = room.add(response=TIPS_RESPONSE)
    edit = EDIT if action == "edit" else None
    record_decision(run_sample=row, user=room.reviewer, action=action, edit=edit)
    mine = EDIT.response if edit else TIPS.response
    assert rejected(room, tmp_path / "out") == [(TIPS.instruction, mine, TIPS_RESPONSE.response)]


def test_an_edit_of_the_instruction_beat_nothing(room: Room, tmp_path: Path) -> None:
    row = room.add(response=TIPS_RESPONSE)
    edit = Pair("Another question", "Its answer")
    record_decision(run_sample=row, user=room.reviewer, action="edit", edit=edit)
    assert rejected(room, tmp_path / "out") == []


# -- While it is written, and after ---------------------------------------------------------------
def test_a_cancel_stops_the_writer(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    many(room, 3)
    export = create_export(run=room.run, user=room.owner, options={})
    write = exports.write_files

    def cancelled_meanwhile(**given: Any) -> Any:
        cancel_export(export=export)
        return write(**given)

    monkeypatch.setattr(exports, "write_files", cancelled_meanwhile)
    write_export(export_id=export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.CANCELLED
    assert not [path for path in Path(export.file.storage.location).rglob("*") if path.is_file()]
    with pytest.raises(ServiceError, match="ended already"):
        cancel_export(export=export)


def test_progress_is_told(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr("refinement.selectors.streams.CHUNK", 2)
    many(room, 5)
    export = create_export(run=room.run, user=room.owner, options={})
    write_export(export_id=export.pk)
    export.refresh_from_db()
    assert (export.done_rows, export.total_rows, export.row_count) == (5, 5, 5)


def test_deleting_leaves_nothing(room: Room) -> None:
    many(room, 1)
    export = create_export(run=room.run, user=room.owner, options={})
    write_export(export_id=export.pk)
    export.refresh_from_db()
    delete_export(export=export)
    assert not Export.objects.exists()
    assert not [path for path in Path(export.file.storage.location).rglob("*") if path.is_file()]


# -- The papers -----------------------------------------------------------------------------------
def test_the_card_says_the_figures_and_no_name_is_markup(room: Room, tmp_path: Path) -> None:
    import yaml

    room.run.name = 'First "pass": <b>[x](http://y)</b>'
    room.run.save()
    many(room, 2)
    record_decision(run_sample=room.pairs[0], user=room.reviewer, action="drop")
    leave(room, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    _, head, body = card.split("---\n", 2)
    meta = yaml.safe_load(head)
    assert meta["pretty_name"] == room.run.name
    assert meta["size_categories"] == ["n<1K"]
    assert meta["configs"][0]["data_files"] == [{"split": "train", "path": "train.jsonl"}]
    assert "| kept | 1 |" in body
    assert "| dropped | 1 |" in body
    assert "| r-IFD (lower: the response tells more of its instruction) | 0.70 | 0.52 |" in body
    assert r"\<b\>\[x\]" in body


def test_llamafactory_finds_its_entry(room: Room, tmp_path: Path) -> None:
    many(room, 20)
    leave(room, tmp_path / "out", shape="dpo_alpaca", validation_percent=30)
    entries = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert entries["first_pass_train"] == {
        "file_name": "train.jsonl",
        "ranking": True,
        "columns": {
            "prompt": "instruction",
            "query": "input",
            "chosen": "chosen",
            "rejected": "rejected",
        },
    }
    assert entries["first_pass_validation"]["file_name"] == "validation.jsonl"
    leave(room, tmp_path / "trl", shape="dpo_chat")
    assert not (tmp_path / "trl" / "dataset_info.json").exists()
