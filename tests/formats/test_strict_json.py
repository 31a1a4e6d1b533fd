"""What JSON lets pass and we do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from refinement.formats.registry import FormatError, Record, Rejected
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., list[Record | Rejected]]

DEEP = '{"n": ' + "[" * 100_000 + "]" * 100_000 + ', "s": "]\\"}"}'
BAD = [
    (
        '{"instruction": "a", "output": "b", "output": "c"}',
        "output",
        "the field 'output' stands twice in one object",
    ),
    (
        '{"instruction": "a", "output": "b", "meta": {"k": 1, "k": 2}}',
        "k",
        "the field 'k' stands twice in one object",
    ),
    ('{"instruction": "a", "output": "b", "n": NaN}', "", "NaN is not a JSON number"),
    ('{"instruction": "a", "output": "b", "n": [-Infinity]}', "", "-Infinity is not a JSON number"),
    ('{"instruction": "a", "output": "b", "n": 1e999}', "n", "a number in 'n' is out of range"),
    (
        '{"instruction": "a", "output": "b", "n": %s}' % ("9" * 5000),
        "",
        "a number of 5000 digits",
    ),
    (
        '{"instruction": "a", "output": "b", "n": %s}' % ("[" * 70 + "]" * 70),
        "n",
        "nested more than 64 levels deep",
    ),
    (DEEP, "", "nested more than 64 levels deep"),
    (
        '{"instruction": "a\\u0000b", "output": "c"}',
        "instruction",
        "'instruction' holds a NUL character, which no database stores",
    ),
    (
        '{"instruction": "a", "output": "b", "x": [{"y": "\\u0000"}]}',
        "x",
        "'x' holds a NUL character, which no database stores",
    ),
    (
        '{"instruction": "a", "output": "b\\ud83d"}',
        "output",
        "'output' holds half a surrogate pair, not text",
    ),
    (
        '{"instruction": "a", "output": "b", "x": {"\\udc00": 1}}',
        "x",
        "'x' holds half a surrogate pair, not text",
    ),
]


@pytest.mark.parametrize("container", ["array", "lines"])
@pytest.mark.parametrize(("record", "field", "reason"), BAD, ids=[reason for *_, reason in BAD])
def test_a_bad_record_is_refused_and_the_next_one_read(
    read: Read, container: str, record: str, field: str, reason: str
) -> None:
    good = json.dumps(alpaca())
    text = f"[{good},\n{record},\n{good}]" if container == "array" else f"{good}\n{record}\n{good}"
    first, refused, last = read(text)
    assert isinstance(first, Record)
    assert isinstance(refused, Rejected)
    assert isinstance(last, Record)
    assert (refused.line, refused.field, refused.reason) == (2, field, reason)
    assert last.line == 3
    (refused.field + refused.reason + refused.excerpt).encode()
    assert "\x00" not in refused.excerpt


def test_a_hostile_nesting_costs_one_pass(read: Read) -> None:
    hostile = "[" * 5000 + '"' + '\\"' * 500_000
    with pytest.raises(FormatError, match="cut off"):
        read("[" + json.dumps(alpaca()) + "," + hostile)


def test_a_raw_nul_byte_is_refused(read: Read) -> None:
    _, refused = read(lines(alpaca()) + '{"instruction": "a\x00b", "output": "c"}\n')
    assert isinstance(refused, Rejected)
    assert refused.reason == "not valid JSON: invalid control character at character 19"
    assert "\\x00" in refused.excerpt


def test_whole_surrogate_pairs_and_other_escapes_are_text(read: Read) -> None:
    (record,) = read('{"instruction": "\\ud83c\\udf88 \\u00e9", "output": "\\u2028"}')
    assert isinstance(record, Record)
    assert (record.pair.instruction, record.pair.response) == ("🎈 é", "\u2028")


def test_a_name_too_long_for_a_column_is_clipped(read: Read) -> None:
    name = "k" * 1000
    _, refused = read(lines(alpaca()) + f'{{"{name}": 1, "{name}": 2}}\n')
    assert isinstance(refused, Rejected)
    assert len(refused.field) == 200
    assert len(refused.reason) == 300
