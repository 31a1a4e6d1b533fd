"""Where records begin and end: lines, limits, cuts and damage."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinement.formats.files import read_text
from refinement.formats.registry import FormatError, Record, Rejected, read_records
from refinement.formats.source import TextSource
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from refinement.formats.containers import Raw

    Read = Callable[..., list[Record | Rejected]]
    Write = Callable[[str | bytes], Path]


def values(path: Path, limit: int = 1_000_000) -> list[Raw]:
    with TextSource(path) as source:
        return list(read_text(source, limit)[1])


def summary(items: list[Record | Rejected]) -> list[tuple[int, str]]:
    return [(i.line, i.reason if isinstance(i, Rejected) else "ok") for i in items]


# -- JSON Lines -----------------------------------------------------------------------------------
def test_lines_keep_their_numbers_over_blank_ones(read: Read) -> None:
    text = "\n  \n" + lines(alpaca()) + "\r\n\t\n" + lines(alpaca("b")).replace("\n", "\r\n")
    assert summary(read(text)) == [(3, "ok"), (6, "ok")]


def test_the_last_line_needs_no_newline(read: Read) -> None:
    assert summary(read(lines(alpaca(), alpaca()).rstrip())) == [(1, "ok"), (2, "ok")]


def test_files_put_together_may_keep_their_marks(read: Read) -> None:
    text = "\ufeff" + lines(alpaca())
    assert summary(read(text + text)) == [(1, "ok"), (2, "ok")]


def test_other_line_separators_are_text(read: Read) -> None:
    first, second = read(
        json.dumps(alpaca("a\u2028b\u0085c"), ensure_ascii=False) + "\n" + lines(alpaca())
    )
    assert isinstance(first, Record)
    assert first.pair.instruction == "a\u2028b\u0085c"
    assert second.line == 2


def test_broken_lines_are_refused_alone(read: Read) -> None:
    text = (
        lines(alpaca())
        + '{"instruction": "a" "output": "b"}\n'
        + '{"instruction": "a", "output": "b"},\n'
        + "[1]\n"
        + "nothing\n"
        + lines(alpaca())
    )
    assert summary(read(text)) == [
        (1, "ok"),
        (2, "not valid JSON: expecting ',' delimiter at character 21"),
        (3, "not valid JSON: ',' follows the end of the record"),
        (4, "the record is a list, not an object"),
        (5, "not valid JSON: expecting value at character 1"),
        (6, "ok"),
    ]


def test_an_excerpt_shows_the_beginning_without_control_characters(read: Read) -> None:
    refused = read(lines(alpaca()) + '{"a":\x00\x1b ' + "y" * 500 + "\n")[1]
    assert isinstance(refused, Rejected)
    assert refused.excerpt.startswith('{"a":\\x00\\x1b yyy')
    assert len(refused.excerpt) == 200
    assert refused.excerpt.endswith("…")


@pytest.mark.parametrize(
    "cut", ['{"instruction": "a", "out', '{"instruction": "a"', "{", '{"a": tr']
)
def test_a_cut_off_last_line_condemns_the_file(read: Read, cut: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(lines(alpaca()) + cut)
    assert str(caught.value) == (
        "Line 2: the file ends in the middle of a record: it was cut off. Send all of it."
    )


def test_a_broken_but_whole_last_line_is_refused_alone(read: Read) -> None:
    assert summary(read(lines(alpaca()) + "{bad}")) == [
        (1, "ok"),
        (
            2,
            "not valid JSON: expecting property name enclosed in double quotes at character 2",
        ),
    ]


def test_a_line_over_the_limit_is_skipped_not_loaded(read: Read) -> None:
    text = lines(alpaca(), alpaca("x" * 3_000_000), alpaca()) + lines(alpaca("y" * 4000))
    assert summary(read(text, record_limit=2000)) == [
        (1, "ok"),
        (2, "the record is longer than 2,000 bytes"),
        (3, "ok"),
        (4, "the record is longer than 2,000 bytes"),
    ]


def test_the_limit_counts_bytes(read: Read) -> None:
    record = json.dumps(alpaca("世" * 100), ensure_ascii=False)
    text = lines(alpaca()) + record + "\n"
    size = len(record.encode())
    assert summary(read(text, record_limit=size))[1] == (2, "ok")
    assert summary(read(text, record_limit=size - 1))[1][1].startswith("the record is longer")


@pytest.mark.parametrize("begin", ['{"instruction": "', '[{"instruction": "'])
def test_a_huge_single_line_is_refused_in_little_memory(tmp_path: Path, begin: str) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(begin.encode())
        for _ in range(200):
            file.write(b"x" * 1024 * 1024)
    tracemalloc.start()
    with pytest.raises(FormatError, match=r"^Line 1: the record is longer than 1,048,576 bytes\."):
        list(read_records(path, record_limit=1024 * 1024))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 1024 * 1024


def test_an_object_over_many_lines_is_explained(read: Read) -> None:
    with pytest.raises(FormatError) as caught:
        read(json.dumps({"data": [alpaca(), alpaca()]}, indent=2))
    assert str(caught.value) == (
        "Line 1: a JSON object begins here and does not end on this line. "
        "Send a JSON array of records, or JSON Lines with one record a line."
    )


def test_an_object_that_holds_the_records_is_explained(read: Read) -> None:
    with pytest.raises(FormatError, match="no known format has these fields: version, data"):
        read(json.dumps({"version": 1, "data": [alpaca()]}))


# -- JSON array -----------------------------------------------------------------------------------
def test_array_records_keep_the_line_they_begin_on(read: Read) -> None:
    text = "\n\n [\n" + json.dumps(alpaca(), indent=2) + "\n,\n\n" + json.dumps(alpaca()) + " ]\n\n"
    assert summary(read(text)) == [(4, "ok"), (11, "ok")]


def test_values_in_an_array_that_are_no_records_are_refused_alone(read: Read) -> None:
    text = json.dumps([alpaca(), 12.5, "text", None, True, [], alpaca()], indent=0)
    assert [reason for _, reason in summary(read(text))] == [
        "ok",
        "the record is a number, not an object",
        "the record is text, not an object",
        "the record is null, not an object",
        "the record is true or false, not an object",
        "the record is a list, not an object",
        "ok",
    ]


def test_an_empty_array_holds_no_records(read: Read) -> None:
    with pytest.raises(FormatError, match=r"^The file holds no records\.$"):
        read(" [ ]\n")


GOOD = '[\n{"instruction": "a", "output": "b"},\n{"instruction": "c", "output": "d"}\n]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GOOD.replace("},\n", "}\n"),
            'Line 3: a comma is missing between two records, before \'{"instruction": "c",\'.',
        ),
        (
            GOOD.replace('"d"}', '"d"},'),
            "Line 4: a comma stands before the closing bracket. Remove it.",
        ),
        (GOOD + "{}", "Line 5: more text follows the end of the array: '{}'."),
        (
            GOOD + GOOD,
            'Line 5: more text follows the end of the array: \'[\\n{"instruction": "a\'.',
        ),
        (
            GOOD.replace(': "c"', ' "c"'),
            'Line 3: not valid JSON: expecting \':\' delimiter, before \'"c", "output": "d"}\\n\'.',
        ),
        (
            GOOD.replace('"c"', '"c\nd"'),
            (
                "Line 3: not valid JSON: invalid control character, "
                'before \'\\nd", "output": "d"}\\n\'.'
            ),
        ),
        (
            GOOD.replace('"c"', '"\\q"'),
            'Line 3: not valid JSON: invalid \\escape, before \'\\\\q", "output": "d"}\\n\'.',
        ),
        (
            GOOD[:-3],
            "Line 3: the file ends before the array is closed: it was cut off. Send all of it.",
        ),
        (
            GOOD[:60],
            "Line 3: the file ends in the middle of this record: it was cut off. Send all of it.",
        ),
        (
            "[1, 2",
            "Line 1: the file ends before the array is closed: it was cut off. Send all of it.",
        ),
    ],
)
def test_a_damaged_array_cannot_be_read_on(read: Read, text: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(text, format="alpaca")
    assert str(caught.value) == message


def test_an_array_cut_anywhere_is_never_taken_for_whole(write: Write) -> None:
    text = json.dumps([alpaca(n=-1.5e10, t=[True, None]), alpaca("é\\\n")]) + "\n"
    for length in range(1, len(text) - 1):
        with pytest.raises(FormatError, match="cut off"):
            values(write(text[:length]))


@pytest.mark.parametrize("indent", [None, 2])
def test_records_larger_than_a_chunk_are_whole(read: Read, indent: int | None) -> None:
    records = [alpaca(f"{n} " + "é\\n\n🎈" * (40_000 * n)) for n in range(4)]
    items = read(json.dumps(records, indent=indent))
    assert [i.pair.instruction for i in items if isinstance(i, Record)] == [
        record["instruction"] for record in records
    ]


def test_a_record_over_the_limit_in_an_array_condemns_the_file(read: Read) -> None:
    text = json.dumps([alpaca(), alpaca("x" * 400), alpaca()]).replace("}, ", "},\n\n")
    with pytest.raises(FormatError, match=r"^Line 3: the record is longer than 400 bytes\.$"):
        read(text, record_limit=400)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for count in (1_000, 10_000):
        path = tmp_path / f"{count}.json"
        record = json.dumps(alpaca("x" * 400))
        path.write_text("[" + ",\n".join([record] * count) + "]")
        tracemalloc.start()
        assert sum(1 for _ in read_records(path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=8,
    ),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
    st.integers(1, 40),
)
def test_the_array_reader_agrees_with_json_for_any_chunk_size(
    tmp_path_factory: pytest.TempPathFactory,
    wanted: list[object],
    indent: int | None,
    ascii_only: bool,
    chunk: int,
) -> None:
    text = json.dumps(wanted, indent=indent, ensure_ascii=ascii_only)
    path = tmp_path_factory.mktemp("array") / "a"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("refinement.formats.containers.CHUNK_BYTES", chunk)
        patch.setattr("refinement.formats.source.TextSource.read.__defaults__", (chunk,))
        assert [raw.value for raw in values(path)] == wanted


def test_text_that_is_no_json_is_named(read: Read) -> None:
    with pytest.raises(FormatError) as caught:
        read("\n\nAdd 2 and 2.\n4\n")
    assert str(caught.value) == (
        "Line 3: this is no known kind of file: JSON begins with [ (an array) or { (JSON Lines), "
        "CSV with a line of column names, but it begins with 'Add 2 and 2.\\n4\\n'."
    )
