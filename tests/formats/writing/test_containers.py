"""Each container through the readers that people use: what went in comes out, the same bytes."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import datasets as hf_datasets
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.formats.writing import containers
from refinement.formats.writing.containers import CONTAINERS, plain_cell, safe_cell
from tests.formats.test_alpaca import exact

if TYPE_CHECKING:
    from pathlib import Path

RECORDS: list[dict[str, Any]] = [
    {"instruction": "Ä \u2028 b", "n": 1, "tags": ["x"], "meta": {"a": None}, "mixed": 1},
    {"instruction": "", "n": 2, "tags": [], "meta": {"a": "t"}, "mixed": "one", "empty": {}},
    {"instruction": '=1+"1"\r\n,', "n": None, "tags": None, "meta": None, "mixed": [2.5]},
]


def write(name: str, records: list[dict[str, Any]], folder: Path, cut: int = 2) -> Path:
    container = CONTAINERS[name]
    path = folder / f"train{container.suffix}"
    with path.open("wb") as file:
        writer = container(file, scratch=folder)
        writer.write(records[:cut])
        writer.write(records[cut:])
        writer.close()
    return path


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_same_records_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = write(name, RECORDS, tmp_path).read_bytes()
    assert first == write(name, RECORDS, tmp_path, cut=1).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [f"train{CONTAINERS[name].suffix}"]


@pytest.mark.parametrize("name", ["jsonl", "json"])
def test_json_gives_back_everything(name: str, tmp_path: Path) -> None:
    text = write(name, RECORDS, tmp_path).read_text("utf-8")
    read = json.loads(text) if name == "json" else [json.loads(x) for x in text.splitlines()]
    assert exact(read) == exact(RECORDS)


def test_numbers_of_any_size_leave_as_they_came(tmp_path: Path) -> None:
    records = [{"n": 2**70, "x": 1e300}, {"n": -1, "x": 1.0}]
    text = write("jsonl", records, tmp_path).read_text()
    assert exact([json.loads(line) for line in text.splitlines()]) == exact(records)


@pytest.mark.parametrize("name", CONTAINERS)
def test_an_empty_selection_is_a_file_that_readers_take(name: str, tmp_path: Path) -> None:
    path = write(name, [], tmp_path)
    if name == "parquet":
        assert pq.read_table(path).num_rows == 0
    elif name == "json":
        assert json.loads(path.read_text()) == []
    else:
        assert path.read_bytes() in {b"", b"\xef\xbb\xbf"}


# -- Parquet --------------------------------------------------------------------------------------
def test_parquet_keeps_types_and_says_where_values_disagree(tmp_path: Path) -> None:
    path = write("parquet", RECORDS, tmp_path)
    rows = pq.read_table(path).to_pylist()
    assert [row["instruction"] for row in rows] == [r["instruction"] for r in RECORDS]
    assert [row["n"] for row in rows] == [1, 2, None]
    assert [row["tags"] for row in rows] == [["x"], [], None]
    assert [row["meta"] for row in rows] == [{"a": None}, {"a": "t"}, None]
    assert [row["mixed"] for row in rows] == ["1", '"one"', "[2.5]"]
    assert [row["empty"] for row in rows] == [None, "{}", None]
    assert pq.read_metadata(path).metadata is None


def test_parquet_names_the_columns_that_hold_json(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        writer = CONTAINERS["parquet"](file, scratch=tmp_path)
        writer.write(RECORDS)
        writer.close()
        assert writer.notes() == {"columns_as_json": ["mixed", "empty"]}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5], "double"),
        ([1, 2**60], "int64"),
        ([2**60, 0.5], "string"),  # a float could not hold both
        ([2**70, 1], "string"),
        ([True, 1], "string"),
        ([None, None], "string"),
        ([[1], [2.5]], "list<element: double>"),
    ],
)
def test_the_type_that_holds_all_values(values: list[Any], kind: str, tmp_path: Path) -> None:
    path = write("parquet", [{"v": value} for value in values], tmp_path)
    assert str(pq.read_schema(path).field("v").type) == kind


def test_parquet_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "ROW_GROUP", 3)
    path = write("parquet", [{"n": n} for n in range(8)], tmp_path)
    assert pq.read_metadata(path).num_row_groups == 3
    assert pq.read_table(path)["n"].to_pylist() == list(range(8))


# -- CSV ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+1", "'+1"),
        ("- a list", "'- a list"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("＝1", "'＝1"),
        ("'=1", "''=1"),
        ("'quoted'", "'quoted'"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula_and_each_can_be_undone(text: str, safe: str) -> None:
    assert safe_cell(text) == safe
    assert plain_cell(safe) == text


@given(st.text(alphabet="'=+-@\t\ra "))
def test_any_cell_can_be_undone(text: str) -> None:
    assert plain_cell(safe_cell(text)) == text
    assert safe_cell(text)[:1] not in set("=+-@\t\r")


def test_csv_for_spreadsheets(tmp_path: Path) -> None:
    records = [
        {"=name": "=1+1", "text": 'a "b",\nc', "n": 1, "srt": {"kept": True, "ifd_after": 0.5}},
        {"=name": "plain", "text": "", "n": None, "srt": {"kept": False, "ifd_after": None}},
    ]
    raw = write("csv", records, tmp_path).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert rows == [
        ["'=name", "text", "n", "srt.kept", "srt.ifd_after"],
        ["'=1+1", 'a "b",\nc', "1", "true", "0.5"],
        ["plain", "", "", "false", ""],
    ]


def test_exact_csv_through_pandas_and_datasets(tmp_path: Path) -> None:
    texts = ["=1+1", " Ä\n\u2028", '"', "NA", "x"]
    path = write("csv_exact", [{"instruction": t, "output": "o"} for t in texts], tmp_path)
    frame = pd.read_csv(path, keep_default_na=False)
    assert list(frame["instruction"]) == texts
    loaded = hf_datasets.load_dataset(
        "csv",
        data_files=str(path),
        split="train",
        keep_default_na=False,
        cache_dir=str(tmp_path / "cache"),
    )
    assert list(loaded["instruction"]) == texts
