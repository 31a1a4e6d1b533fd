"""Which format a file has, and real files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.formats.alpaca import write_record
from refinement.formats.registry import (
    FORMATS,
    FormatError,
    Kept,
    Record,
    Rejected,
    detect,
    read_records,
    shape_of,
)
from refinement.formats.shape import Parts
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., list[Record | Rejected]]
    Write = Callable[[str | bytes], Path]

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the development data is not at {DATA}")


def test_the_content_tells_the_format(write: Write) -> None:
    assert detect(write(lines(alpaca())))[0] == "alpaca"
    assert detect(write(json.dumps([alpaca()], indent=4)))[0] == "alpaca"
    assert "alpaca" in FORMATS


def test_bad_records_before_the_first_good_one_do_not_mislead(write: Write) -> None:
    assert detect(write("{bad}\n[1]\n7\n" + lines(alpaca())))[0] == "alpaca"


def test_an_unknown_shape_is_named_by_its_fields(write: Write) -> None:
    with pytest.raises(FormatError) as caught:
        detect(write("\n" + lines({"text": "a", "id": 1})))
    assert str(caught.value).startswith(
        "Line 2: no known format has these fields: text, id. Known formats: ShareGPT ("
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "Line 1: the record is a number, not an object. Known"),
        ("[{}]", "Line 1: no known format has these fields: none. Known"),
        ("{bad}\n", "Line 1: not valid JSON: expecting property name enclosed in double quotes"),
    ],
)
def test_a_file_without_one_record_is_explained(write: Write, text: str, said: str) -> None:
    with pytest.raises(FormatError) as caught:
        detect(write(text))
    assert str(caught.value).startswith(said)


def test_an_unknown_format_is_a_mistake(write: Write) -> None:
    with pytest.raises(KeyError):
        list(read_records(write(lines(alpaca())), format="parquet"))


def test_read_bytes_only_grows(write: Write) -> None:
    path = write(lines(*[alpaca("x" * 1000)] * 1000))
    seen = [item.read_bytes for item in read_records(path)]
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert seen[-1] == path.stat().st_size


GOOD = json.dumps([alpaca("é", history=[["a", "b"]], n=-1.5e3), alpaca()], indent=1).encode()


@given(
    st.sampled_from([GOOD, GOOD.replace(b"\n", b""), lines(alpaca(), alpaca()).encode()]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=4)), max_size=4),
)
def test_damaged_bytes_are_refused_not_tripped_over(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, damage: list[tuple[int, int, bytes]]
) -> None:
    for place, cut, put in damage:
        content = content[:place] + put + content[place + cut :]
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(content)
    try:
        items = list(read_records(path))
    except FormatError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, others are not
    else:
        assert items
        for item in items:
            line = 1 + content.count(b"\n")
            assert 1 <= item.line <= line


@needs_data
def test_three_thousand_real_records_come_back_exactly() -> None:
    path = DATA / "alpaca_cherry_3k.json"
    items = list(read_records(path))
    assert all(isinstance(item, Record) for item in items)
    records = [item for item in items if isinstance(item, Record)]
    assert [write_record(r.pair, r.extra, r.layout) for r in records] == json.loads(
        path.read_text("utf-8")
    )
    text = path.read_text("utf-8").split("\n")
    assert all(text[record.line - 1].strip() == "{" for record in records)


@needs_data
def test_real_seed_tasks_are_mapped_by_their_names_and_come_back_exactly() -> None:
    path = DATA / "self_instruct_seed_tasks.jsonl"
    name, mapping = detect(path)
    assert (name, mapping) == (
        "fields",
        {
            "instruction": "instruction",
            "output": "instances[0].output",
            "input": "instances[0].input",
        },
    )
    records = [item for item in read_records(path) if isinstance(item, Record)]
    shape = shape_of(name, mapping)
    written = [shape.write([Parts(r.pair, r.extra, r.layout)]) for r in records]
    wanted = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [json.dumps(one) for one in written] == [json.dumps(one) for one in wanted]


@needs_data
def test_real_chats_with_typed_parts_come_back_exactly() -> None:
    path = DATA / "messages_typed_content.jsonl"
    shape = shape_of("messages")
    told = Counter()
    wanted = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for item, record in zip(read_records(path), wanted, strict=True):
        told[type(item)] += 1
        if isinstance(item, Kept):
            assert item.record == record
        else:
            assert isinstance(item, Record)
            parts = Parts(item.pair, item.extra, item.layout)
            assert json.dumps(shape.write([parts])) == json.dumps(record)
    assert told[Record] > 0
