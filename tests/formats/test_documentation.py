"""docs/formats.md shows a true example of every format, and what is said of bad records."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from refinement.formats.fields import REWRITE_FIELDS
from refinement.formats.registry import Record, Rejected, detect, read_records, shape_of
from refinement.formats.shape import Parts
from refinement.formats.shapes import FORMATS
from refinement.method.pairs import Pair, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[str | bytes], Path]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
TEXT = DOCUMENT.read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
GOOD_NIGHT = "And good night?"
CHAT = (Turn("user", "Hi"), Turn("assistant", "Hello"))
BRIEF = Turn("system", "Be brief.")
EXAMPLES: list[tuple[str, str, Pair]] = [  # heading, format, the pair that it becomes
    (
        "Alpaca",
        "alpaca",
        Pair(
            GOOD_NIGHT,
            "",
            "",
            (
                Turn("system", "Answer in French."),
                Turn("user", "Good morning?"),
                Turn("assistant", "Bonjour."),
            ),
        ),
    ),
    ("ShareGPT", "sharegpt", Pair(GOOD_NIGHT, "Sleep well.", "", (BRIEF, *CHAT))),
    ("OpenAI messages", "messages", Pair(GOOD_NIGHT, "Sleep well.", "", (BRIEF,))),
    ("Prompt and completion, question and answer", "prompt", Pair(GOOD_NIGHT, "Sleep well.")),
    (
        "Prompt and completion, question and answer",
        "question",
        Pair("When did it open?", "In 1894.", "The bridge opened in 1894."),
    ),
    ("Fields of any name, at any depth", "fields", Pair("Sort the words.", "a b", "b a")),
    (
        "Fields of any name, at any depth",
        "question",
        Pair('What is "yes" in French?', "Oui"),
    ),
    ("Rewrites that were made elsewhere", "alpaca", Pair("Tell me of bread.", "It is baked.")),
]


def blocks(heading: str) -> list[str]:
    """Examples of a section: JSON, or CSV, which has no word behind the fence."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", SECTIONS[heading], re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind == "json" or text.startswith("id,")]


def example(heading: str, name: str) -> str:
    here = [one[1] for one in EXAMPLES if one[0] == heading]
    return blocks(heading)[here.index(name)]


@pytest.mark.parametrize(("heading", "name", "pair"), EXAMPLES)
def test_the_example_is_found_and_read(write: Write, heading: str, name: str, pair: Pair) -> None:
    path = write(example(heading, name) * 2 if name == "fields" else example(heading, name))
    found, mapping = detect(path)
    assert found == name
    record, *_ = read_records(path)
    assert isinstance(record, Record)
    assert record.pair == pair
    parts = Parts(record.pair, record.extra, record.layout, record.part)
    raw, *_ = _records(path)
    assert list(shape_of(name, mapping).write([parts]).items()) == list(raw.items())


def _records(path: Path) -> list[dict[str, Any]]:
    from refinement.formats.files import open_values

    with open_values(path, record_limit=10_000) as (_, values):
        return [raw.value for raw in values]


def test_every_format_has_an_example() -> None:
    assert {name for _, name, _ in EXAMPLES} == set(FORMATS)
    shown = [text for heading in SECTIONS for text in blocks(heading)]
    assert len(shown) == len(EXAMPLES)


def test_the_paths_of_the_command_are_those_that_are_found(write: Write) -> None:
    heading = "Fields of any name, at any depth"
    told = dict(re.findall(r"--map '?(\w+)=([\w\[\].]+)", SECTIONS[heading]))
    assert detect(write(example(heading, "fields") * 2)) == ("fields", told)


def test_given_rewrites_are_what_the_table_says(write: Write) -> None:
    text = SECTIONS["Rewrites that were made elsewhere"]
    rows = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(REWRITE_FIELDS)
    mapping = {
        "instruction": "instruction",
        "output": "output",
        "reflected_instruction": "new_instruction",
        "reflected_output": "new_output",
        "improved_output": "best_output",
    }
    (record,) = read_records(
        write(blocks("Rewrites that were made elsewhere")[0]), format="alpaca", mapping=mapping
    )
    assert isinstance(record, Record)
    assert [(one.kind, one.instruction, one.response) for one in record.rewrites] == [
        ("instruction", "How does bread rise?", "By yeast."),
        ("response", "How does bread rise?", "Yeast eats sugar and breathes out gas."),
    ]


def test_refused_records_are_told_in_these_words(write: Write) -> None:
    shown = re.findall(r"^  line (\d+): (.+?): (\{.+)$", SECTIONS["A refused record"], re.MULTILINE)
    assert len(shown) == 4
    good = '{"id": "t1", "instruction": "Say hello.", "output": "Hello"}'
    lines = {int(line): excerpt for line, _, excerpt in shown}
    content = "".join(lines.get(n, good) + "\n" for n in range(1, 7))
    told = [item for item in read_records(write(content)) if isinstance(item, Rejected)]
    assert [(str(item.line), item.reason, item.excerpt) for item in told] == shown
