"""Damaged files of every kind are refused or read, never tripped over.

``SRT_TEST_FUZZ=100000`` tries as many; what such a run finds is written down as an ``example``.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refinement.formats.guess import look
from refinement.formats.registry import FORMATS, FormatError, read_raw, read_records
from refinement.formats.shapes import shape_of
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = int(os.environ.get("SRT_TEST_FUZZ", "60"))
ROWS: list[dict[str, Any]] = [
    alpaca("é😀", "b", history=[["a", "b"]], n=-1.5e3),
    alpaca(),
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    {"prompt": "a", "completion": [{"text": "b"}], "x": [None, True, {"y": []}]},
]
TABLE = [{"instruction": f"a{n}", "output": "b" * n, "n": n, "l": [n]} for n in range(40)]


def table(kind: str) -> bytes:
    sink = io.BytesIO()
    rows = pa.Table.from_pylist(TABLE)
    if kind == "parquet":
        pq.write_table(rows, sink, compression="none")
    else:
        with (pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file)(sink, rows.schema) as out:
            out.write_table(rows)
    return sink.getvalue()


JSONL = lines(*ROWS).encode()
SEEDS = {
    "json": json.dumps(ROWS, indent=1, ensure_ascii=False).encode(),
    "jsonl": JSONL,
    "utf16": JSONL.decode().encode("utf-16"),
    "csv": b'id,instruction,output\r\n1,"a, ""b""\nc",d\r\n2,e,f\r\n',
    "gzip": gzip.compress(JSONL, mtime=0),
    "zstd": bytes(pa.Codec("zstd").compress(JSONL, asbytes=True)),
    **{kind: table(kind) for kind in ("parquet", "arrow", "stream")},
}
SPLICES = st.lists(
    st.tuples(
        st.floats(0, 1),  # where, as a part of the file
        st.integers(0, 9),  # how many bytes go
        st.binary(max_size=6)
        | st.sampled_from(
            [b'"', b"\\u0000", b"\\ud800", b"[" * 70, b"{", b"\n", b"\xff", b"1e999", b"NaN", b","]
        ),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "file"


@pytest.mark.parametrize("kind", SEEDS)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(splices=SPLICES)
def test_a_damaged_file_is_read_or_refused(
    place: Path, kind: str, splices: list[tuple[float, int, bytes]]
) -> None:
    content = SEEDS[kind]
    for at, gone, put in splices:
        start = int(at * len(content))
        content = content[:start] + put + content[start + gone :]
    place.write_bytes(content)
    check(place)


@settings(max_examples=EXAMPLES)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(place: Path, content: bytes) -> None:
    place.write_bytes(content)
    check(place)


def check(path: Path) -> None:
    """Look at the file and read it in every shape; other errors than ours pass through."""
    try:
        found = look(path)
    except FormatError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, others are not
        return
    for name in FORMATS:
        for raw in found.raws:
            assert read_raw(shape_of(name, found.mapping if name == found.format else None), raw)
    try:
        for item in read_records(path, format=found.format or "alpaca", mapping=found.mapping):
            json.dumps(vars_of(item), allow_nan=False).encode()
    except FormatError as error:
        assert str(error)  # noqa: PT017


def vars_of(item: object) -> dict[str, Any]:
    """What goes into the database of an item."""
    names = ("line", "reason", "record", "extra", "excerpt", "field", "layout")
    return {name: getattr(item, name) for name in names if hasattr(item, name)}
