"""Hugging Face dataset folders, as their own library writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from datasets import Dataset, DatasetDict

from refinement.formats.errors import FormatError
from refinement.formats.folders import data_files, write_as_one
from refinement.formats.registry import Record, read_records
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [alpaca(f"Question {n}") for n in range(7)]


def instructions(folder: Path, split: str = "") -> list[str]:
    target = folder.parent / "one"
    write_as_one(data_files(folder, split), target)
    return [r.pair.instruction for r in read_records(target) if isinstance(r, Record)]


def test_a_saved_dataset_of_several_files(tmp_path: Path) -> None:
    Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved", num_shards=2)
    assert instructions(tmp_path / "saved") == [row["instruction"] for row in ROWS]


def test_a_saved_dict_of_splits(tmp_path: Path) -> None:
    splits = {"train": Dataset.from_list(ROWS[:4]), "test": Dataset.from_list(ROWS[4:])}
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert instructions(tmp_path / "saved") == [f"Question {n}" for n in range(4)]
    assert instructions(tmp_path / "saved", "test") == ["Question 4", "Question 5", "Question 6"]
    with pytest.raises(FormatError, match=r"no split “dev”\. It has: train, test"):
        data_files(tmp_path / "saved", "dev")


def test_a_repository_of_parquet_files(tmp_path: Path) -> None:
    (tmp_path / "repo" / "data").mkdir(parents=True)
    for name, rows in (("train-00000-of-00002", ROWS[:3]), ("train-00001-of-00002", ROWS[3:5])):
        Dataset.from_list(rows).to_parquet(tmp_path / "repo" / "data" / f"{name}.parquet")
    Dataset.from_list(ROWS[5:]).to_parquet(tmp_path / "repo" / "data" / "test-00000.parquet")
    (tmp_path / "repo" / "README.md").write_text("# data")
    assert instructions(tmp_path / "repo") == [f"Question {n}" for n in range(5)]


def test_lines_are_put_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "a.jsonl").write_text(lines(*ROWS[:2]).rstrip())
    (tmp_path / "repo" / "b.jsonl").write_text(lines(*ROWS[2:3]))
    assert instructions(tmp_path / "repo") == ["Question 0", "Question 1", "Question 2"]


def test_what_cannot_be_put_together_is_said(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    with pytest.raises(FormatError, match="no data in the folder repo"):
        data_files(tmp_path / "repo")
    for name in ("a.csv", "b.csv"):
        (tmp_path / "repo" / name).write_text("instruction,output\na,b\n")
    with pytest.raises(FormatError, match="several files that cannot be put together"):
        write_as_one(data_files(tmp_path / "repo"), tmp_path / "one")
    (tmp_path / "repo" / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "../../etc/passwd"}]})
    )
    with pytest.raises(FormatError, match="names a file that is not in it"):
        data_files(tmp_path / "repo")
