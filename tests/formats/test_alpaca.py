"""Alpaca records, in and out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.formats.alpaca import write_record
from refinement.formats.errors import RecordError
from refinement.formats.fields import AlpacaShape
from refinement.formats.registry import Record, Rejected
from refinement.formats.shape import Parts
from refinement.method.pairs import Pair, Turn
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., list[Record | Rejected]]


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ({"input": "", "output": "b"}, "instruction", "the field 'instruction' is missing"),
        ({"instruction": "a"}, "output", "the field 'output' is missing"),
        (alpaca(output=None), "output", "the field 'output' is null, not text"),
        (alpaca(instruction=7), "instruction", "the field 'instruction' is a number, not text"),
        (alpaca(output=1.5), "output", "the field 'output' is a number, not text"),
        (alpaca(output=["b"]), "output", "the field 'output' is a list, not text"),
        (alpaca(output={}), "output", "the field 'output' is an object, not text"),
        (alpaca() | {"input": False}, "input", "the field 'input' is true or false, not text"),
        (alpaca(instruction=""), "instruction", "the instruction is empty"),
        (alpaca(instruction=" \n\t"), "instruction", "the instruction is empty"),
        (alpaca(system=3), "system", "the field 'system' is a number, not text"),
        *(
            (
                alpaca(history=history),
                "history",
                "the field 'history' is not a list of [question, answer] texts",
            )
            for history in ("before", [["q"]], [["q", "a", "b"]], [["q", None]], ["qa"], {})
        ),
    ],
)
def test_what_is_no_pair_is_refused(
    read: Read, record: dict[str, Any], field: str, reason: str
) -> None:
    _, refused = read(lines(alpaca(), record))
    assert isinstance(refused, Rejected)
    assert (refused.line, refused.field, refused.reason) == (2, field, reason)


def test_an_empty_output_is_accepted(read: Read) -> None:
    (record,) = read(lines(alpaca(output="")))
    assert isinstance(record, Record)
    assert record.pair.response == ""


def test_system_and_history_are_the_turns_before(read: Read) -> None:
    (record,) = read(
        lines(
            alpaca("Now?", "Later.", system="Be brief.", history=[["Hi", "Hello"], ["Ok", "Yes"]])
        )
    )
    assert isinstance(record, Record)
    assert record.pair.context == (
        Turn("system", "Be brief."),
        Turn("user", "Hi"),
        Turn("assistant", "Hello"),
        Turn("user", "Ok"),
        Turn("assistant", "Yes"),
    )
    assert record.extra == {}


def test_other_fields_are_kept_aside_in_order(read: Read) -> None:
    wanted = {"z": 1, "instruction": "a", "meta": {"b": [1.0, None], "a": "é"}, "output": "b"}
    (record,) = read(lines(wanted))
    assert isinstance(record, Record)
    assert record.extra == {"z": 1, "meta": {"b": [1.0, None], "a": "é"}}
    assert record.layout == ("z", "instruction", "meta", "output")


def test_the_plain_order_needs_no_layout(read: Read) -> None:
    (record,) = read(lines(alpaca()))
    assert isinstance(record, Record)
    assert (record.extra, record.layout) == ({}, ())


def test_a_rewrite_takes_the_places_of_the_original() -> None:
    record = write_record(
        Pair("new", "better", "given"),
        {"id": 7, "tag": "x"},
        ["id", "output", "tag", "instruction", "input"],
    )
    assert list(record.items()) == [
        ("id", 7),
        ("output", "better"),
        ("tag", "x"),
        ("instruction", "new"),
        ("input", "given"),
    ]


def test_a_new_input_stands_behind_the_instruction() -> None:
    assert list(write_record(Pair("a", "b", "i"), {"id": 1}, ["instruction", "output", "id"])) == [
        "instruction",
        "input",
        "output",
        "id",
    ]


def test_without_a_layout_the_order_is_alpacas() -> None:
    record = write_record(Pair("a", "b", "", (Turn("system", "s"),)), {"id": 1})
    assert list(record) == ["instruction", "input", "output", "system", "id"]
    assert list(write_record(Pair("a", "b"), {})) == ["instruction", "input", "output"]


@pytest.mark.parametrize(
    "roles", [["assistant"], ["user"], ["user", "system"], ["user", "assistant", "user"]]
)
def test_turns_that_alpaca_cannot_say_are_not_bent(roles: list[str]) -> None:
    context = tuple(Turn(role, "text") for role in roles)
    with pytest.raises(ValueError, match="whole exchanges"):
        write_record(Pair("a", "b", "", context), {})


def test_a_mapping_names_the_files_fields(read: Read) -> None:
    mapping = {"instruction": "prompt", "output": "completion"}
    wanted = {"id": 1, "prompt": "a", "completion": "b", "output": "c"}
    (record,) = read(lines(wanted), format="alpaca", mapping=mapping)
    assert isinstance(record, Record)
    assert record.pair == Pair("a", "b")
    assert record.extra == {"id": 1, "output": "c"}
    parts = Parts(record.pair, record.extra, record.layout)
    assert exact(AlpacaShape(mapping).write([parts])) == exact(wanted)


def test_a_mapping_speaks_of_the_files_fields(read: Read) -> None:
    mapping = {"instruction": "prompt", "output": "completion"}
    (missing,) = read(lines({"prompt": "a"}), format="alpaca", mapping=mapping)
    assert isinstance(missing, Rejected)
    assert missing.reason == "the field 'completion' is missing"


def test_a_mapping_of_an_unknown_field_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no field of Alpaca: answer"):
        AlpacaShape({"answer": "completion"})


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.tuples(
    st.fixed_dictionaries(
        {"instruction": TEXTS.filter(lambda text: bool(text.strip())), "output": TEXTS},
        optional={
            "input": st.none() | TEXTS,
            "system": st.none() | TEXTS,
            "history": st.none() | st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=2),
        },
    ),
    st.dictionaries(TEXTS, JSON, max_size=3),
).flatmap(lambda parts: st.permutations(list({**parts[1], **parts[0]}.items())).map(dict))


def exact(value: object) -> str:
    """Tells 1 from 1.0 and -0.0 from 0.0, and one order of keys from another."""
    return json.dumps(value)


@given(RECORDS)
def test_an_untouched_record_comes_back_to_the_letter(record: dict[str, Any]) -> None:
    parts = AlpacaShape().read(record, escapes=True)
    assert exact(AlpacaShape().write(parts)) == exact(record)


@given(
    st.dictionaries(TEXTS | st.sampled_from(["instruction", "input", "output", "history"]), JSON)
)
def test_whatever_an_object_holds_it_is_read_or_refused(record: dict[str, Any]) -> None:
    try:
        (parts,) = AlpacaShape().read(record, escapes=True)
    except RecordError as error:
        outcome = error.reason
    else:
        outcome = parts.pair.instruction
    assert outcome
