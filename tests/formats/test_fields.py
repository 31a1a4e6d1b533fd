"""Fields of any name and at any depth, in and out; rewrites that come with the data."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from refinement.formats.errors import RecordError
from refinement.formats.fields import FieldsShape, PromptShape, QuestionShape
from refinement.formats.paths import get, parse_path, replaced
from refinement.formats.shape import GivenRewrite
from refinement.method.pairs import Pair, Turn
from tests.formats.test_alpaca import exact

SEED = {
    "instruction": "instruction",
    "input": "instances[0].input",
    "output": "instances[0].output",
}


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("output", ("output",)),
        ("instances[0].output", ("instances", 0, "output")),
        ("a.b[12][3]", ("a", "b", 12, 3)),
        ("what is it?", ("what is it?",)),
        ("a..b", ("a..b",)),
        ("[0]", ("[0]",)),
        ("a[x]", ("a[x]",)),
    ],
)
def test_a_path_has_steps(text: str, steps: tuple[str | int, ...]) -> None:
    assert parse_path(text) == steps


def test_a_copy_is_changed_along_the_way_only() -> None:
    record = {"a": [{"b": 1}, {"b": 2}], "c": {}}
    changed = replaced(record, ("a", 1, "b"), 3)
    assert changed == {"a": [{"b": 1}, {"b": 3}], "c": {}}
    assert changed["c"] is record["c"]
    assert get(record, ("a", 1, "b")) == 2
    with pytest.raises(KeyError):
        replaced(record, ("a", 2, "b"), 3)


@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "instruction": "Add.", "instances": [{"input": "2, 2", "output": "4"}], "z": 0},
        {"instances": [{"output": "4", "x": 1}, {"output": "5"}], "instruction": "Add."},
        {"instances": [{"input": None, "output": ""}], "instruction": "Add."},
        {"instances": [{"input": "", "output": "4"}], "instruction": "Add."},
    ],
)
def test_fields_at_a_path_come_back_in_place(record: dict[str, Any]) -> None:
    shape = FieldsShape(SEED)
    before = copy.deepcopy(record)
    (parts,) = shape.read(record, escapes=True)
    assert record == before
    assert parts.pair.response == record["instances"][0]["output"]
    assert exact(shape.write([parts])) == exact(record)
    parts.pair = Pair("New.", "Better.", parts.pair.input)
    assert shape.write([parts])["instances"][0]["output"] == "Better."


def test_a_field_whose_name_looks_like_a_path_goes_first() -> None:
    shape = FieldsShape({"instruction": "q.text", "output": "a[0]"})
    record = {"q.text": "Why?", "a[0]": "So.", "q": {"text": "no"}, "a": ["no"]}
    (parts,) = shape.read(record, escapes=True)
    assert (parts.pair.instruction, parts.pair.response) == ("Why?", "So.")
    assert exact(shape.write([parts])) == exact(record)


def test_prompts_and_questions_have_their_names() -> None:
    assert PromptShape().recognises({"prompt": "a", "completion": "b"})
    assert not PromptShape().recognises({"prompt": "a"})
    record = {"context": "Facts.", "answer": "So.", "question": "Why?"}
    (parts,) = QuestionShape().read(record, escapes=False)
    assert parts.pair == Pair("Why?", "So.", "Facts.")
    assert exact(QuestionShape().write([parts])) == exact(record)
    parts.pair = Pair("Why?", "So.", "Facts.", (Turn("system", "Be brief."),))
    assert QuestionShape().write([parts])["system_prompt"] == "Be brief."


def test_a_missing_place_is_named_as_it_was_chosen() -> None:
    with pytest.raises(RecordError) as caught:
        FieldsShape(SEED).read({"instruction": "a", "instances": []}, escapes=False)
    assert caught.value.reason == "the field 'instances[0].output' is missing"


REFLECTED = {
    "instruction": "instruction",
    "output": "output",
    "reflected_instruction": "new_instruction",
    "reflected_output": "new_output",
    "improved_output": "best_output",
    "response_criticism": "why",
}


@pytest.mark.parametrize(
    ("fields", "rewrites"),
    [
        ({}, ()),
        ({"new_instruction": "", "new_output": None}, ()),
        (
            {"new_instruction": "Add two.", "new_output": "Four."},
            (GivenRewrite("instruction", "Add two.", "", "Four."),),
        ),
        (
            {"new_output": "Four.", "why": "Too short."},
            (GivenRewrite("response", "Add.", "", "Four.", "Too short."),),
        ),
        (
            {"new_instruction": "Add two.", "best_output": "It is four."},
            (
                GivenRewrite("instruction", "Add two.", "", "4"),
                GivenRewrite("response", "Add two.", "", "It is four."),
            ),
        ),
    ],
)
def test_rewrites_come_with_the_data(
    fields: dict[str, Any], rewrites: tuple[GivenRewrite, ...]
) -> None:
    record = {"instruction": "Add.", "output": "4", **fields}
    shape = FieldsShape(REFLECTED)
    (parts,) = shape.read(record, escapes=False)
    assert parts.rewrites == rewrites
    assert exact(shape.write([parts])) == exact(record)
