"""CSV, Parquet, Arrow and packed files: what goes in, and what is wrong with it."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refinement.formats.files import open_values
from refinement.formats.registry import FormatError, Record, Rejected, detect, read_records
from refinement.formats.shape import Parts
from refinement.formats.shapes import shape_of
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[..., list[Record | Rejected]]
    Write = Callable[[str | bytes], Path]

ROWS = [
    alpaca(f"Question {n}", f"Answer {n}", id=n, tags=["a", None], meta={"x": n}) for n in range(5)
]


def zst(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


def restored(path: Path) -> list[dict[str, Any]]:
    name, mapping = detect(path)
    shape = shape_of(name, mapping)
    return [
        shape.write([Parts(r.pair, r.extra, r.layout)])
        for r in read_records(path)
        if isinstance(r, Record)
    ]


def parquet(path: Path, rows: list[dict[str, Any]] = ROWS, **options: Any) -> bytes:
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path.read_bytes()


def arrow(path: Path, *, stream: bool, rows: list[dict[str, Any]] = ROWS) -> bytes:
    table = pa.Table.from_pylist(rows)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return path.read_bytes()


# -- Every container, packed and not --------------------------------------------------------------
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zst])
@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet", "arrow", "stream"])
def test_every_container_gives_its_records_back(
    write: Write, tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    content = {
        "json": lambda: json.dumps(ROWS).encode(),
        "jsonl": lambda: lines(*ROWS).encode(),
        "parquet": lambda: parquet(tmp_path / "t"),
        "arrow": lambda: arrow(tmp_path / "t", stream=False),
        "stream": lambda: arrow(tmp_path / "t", stream=True),
    }[kind]()
    path = write(pack(content))
    with open_values(path, record_limit=10**6) as (container, _):
        assert container == kind.replace("stream", "arrow")
    assert json.dumps(restored(path)) == json.dumps(ROWS)
    assert [r.read_bytes for r in read_records(path)][-1] > 0


def test_rows_of_a_table_are_numbered(read: Read, tmp_path: Path) -> None:
    rows = [alpaca(), alpaca(instruction=""), alpaca()]
    found = read(parquet(tmp_path / "t", rows))
    assert [item.line for item in found] == [1, 2, 3]
    assert isinstance(found[1], Rejected)
    assert found[1].reason == "the instruction is empty"


def test_what_json_has_no_word_for_becomes_text(read: Read, tmp_path: Path) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    more = {"when": when, "score": float("nan"), "raw": b"\x00\xff", "share": 0.5}
    (record,) = read(parquet(tmp_path / "t", [alpaca(**more)]))
    assert isinstance(record, Record)
    assert record.extra == {
        "when": "2026-01-02T03:04:05+00:00",
        "score": None,
        "raw": "AP8=",
        "share": 0.5,
    }


# -- CSV ------------------------------------------------------------------------------------------
def test_csv_has_quotes_and_lines_within_cells(read: Read) -> None:
    text = '\ufeffid,instruction,output\r\n1,"Say ""hi"",\nplease","Hi\n"\r\n\r\n2,b,\r\n'
    first, second = read(text)
    assert isinstance(first, Record)
    assert (first.line, first.pair.instruction, first.pair.response) == (
        2,
        'Say "hi",\nplease',
        "Hi\n",
    )
    assert (second.line, first.extra) == (6, {"id": "1"})


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_other_delimiters_are_told_by_the_header(read: Read, delimiter: str) -> None:
    text = f"prompt{delimiter}completion\na, b{delimiter}c\n"
    (record,) = read(text)
    assert isinstance(record, Record)
    assert (record.pair.instruction, record.pair.response) == ("a, b", "c")


def test_ragged_and_broken_rows_are_refused_alone(read: Read) -> None:
    text = 'instruction,output\na,b\na,b,c\n"a"x,b\na\nd,e\nf,\x00\n'
    told = [(i.line, i.reason if isinstance(i, Rejected) else "ok") for i in read(text)]
    assert told == [
        (2, "ok"),
        (3, "the row has 3 cells where the header has 2"),
        (4, "not valid CSV: ',' expected after '\"'"),
        (5, "the row has 1 cells where the header has 2"),
        (6, "ok"),
        (7, "'output' holds a NUL character, which no database stores"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,a\n1,2\n", "Line 1: the column 'a' stands twice in the header."),
        (
            'instruction,output\na,b\n"c,d\ne,f\n',
            "Line 3: a quotation mark is opened in this row and never closed",
        ),
        ("id,text\n1,b\n", "Line 2: no known format has these fields: id, text."),
        ("instruction,output\n", "The file holds no records."),
    ],
)
def test_a_csv_file_that_cannot_be_read_says_why(read: Read, text: str, said: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(text)
    assert str(caught.value).startswith(said)


def test_a_quote_that_never_ends_costs_no_more_than_a_record(write: Write) -> None:
    path = write('instruction,output\n"' + "x\n" * 300_000)
    with pytest.raises(FormatError, match="never closed"):
        list(read_records(path, format="alpaca", record_limit=100_000))


# -- Damage and lies ------------------------------------------------------------------------------
@pytest.mark.parametrize("pack", [gzip.compress, zst])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_packed_file_that_was_cut_off_is_named(
    read: Read, pack: Callable[[bytes], bytes], keep: float
) -> None:
    packed = pack(lines(*(alpaca(f"{n * 7919:x}") for n in range(5000))).encode())
    with pytest.raises(FormatError, match="packed file is damaged or was cut off"):
        read(packed[: int(len(packed) * keep)])


def test_a_damaged_packed_file_is_named(read: Read) -> None:
    packed = bytearray(gzip.compress(lines(*ROWS).encode()))
    packed[-6] ^= 255  # of the checksum
    with pytest.raises(FormatError, match="packed file is damaged"):
        read(bytes(packed))


@pytest.mark.parametrize("pack", [gzip.compress, zst])
def test_a_bomb_is_unpacked_no_further_than_the_limit(
    write: Write, pack: Callable[[bytes], bytes]
) -> None:
    bomb = lines(alpaca()).encode() * 200_000
    path = write(pack(bomb))
    assert path.stat().st_size < len(bomb) / 100
    with pytest.raises(FormatError, match="unpacks to more than 1,000,000 bytes"):
        list(read_records(path, size_limit=1_000_000))


def test_a_packed_line_without_end_costs_no_more_than_a_record(write: Write) -> None:
    packer = zlib.compressobj(wbits=31)
    path = write(packer.compress(b'{"instruction": "' + b"a" * 50_000_000) + packer.flush())
    (refused,) = read_records(path, format="alpaca", record_limit=100_000)
    assert isinstance(refused, Rejected)
    assert refused.reason == "the record is longer than 100,000 bytes"


@pytest.mark.parametrize("at", [5, 30, 100, 300])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
def test_damaged_tables_are_named(write: Write, tmp_path: Path, kind: str, at: int) -> None:
    content = bytearray(
        parquet(tmp_path / "t", compression="none")
        if kind == "parquet"
        else arrow(tmp_path / "t", stream=kind == "stream")
    )
    content[-at:] = content[: len(content[-at:])]
    try:
        items = list(read_records(write(bytes(content)), format="alpaca"))
    except FormatError as error:
        assert "damaged or was cut off" in str(error)  # noqa: PT017 - what was hit is of no weight
    else:
        assert all(isinstance(item, Record | Rejected) for item in items)


def test_a_table_that_unpacks_to_too_much_is_refused_before(write: Write, tmp_path: Path) -> None:
    rows = [alpaca("a" * 1000)] * 5000
    path = write(parquet(tmp_path / "t", rows, use_dictionary=False))
    with pytest.raises(FormatError, match=r"unpacks to [\d,]+ bytes, the limit is 1,000,000"):
        list(read_records(path, format="alpaca", size_limit=1_000_000))


def test_a_long_row_of_a_table_is_refused_alone(read: Read, tmp_path: Path) -> None:
    content = parquet(tmp_path / "t", [alpaca(), alpaca("a" * 2000), alpaca()])
    told = [type(item) for item in read(content, record_limit=1000)]
    assert told == [Record, Rejected, Record]
