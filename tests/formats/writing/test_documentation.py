"""docs/exports.md shows a true example of every shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refinement.formats.writing.lines import json_line
from refinement.formats.writing.targets import TARGETS, with_further_fields
from refinement.method.pairs import Pair, Turn

CHAT = Pair(
    "And good night?",
    "Bonne nuit.",
    "",
    (
        Turn("system", "Answer in French."),
        Turn("user", "Good morning?"),
        Turn("assistant", "Bonjour."),
    ),
)
PLAIN = Pair("Name a colour.", "Red.")
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "exports.md"
EXAMPLES = dict(re.findall(r"`(\w+)`\n\n```json\n(.*?)\n```", DOCUMENT.read_text("utf-8")))


@pytest.mark.parametrize("name", TARGETS)
def test_the_example_is_what_is_written(name: str) -> None:
    pair, number = (CHAT, 7) if "And good night?" in EXAMPLES[name] else (PLAIN, 8)
    record = with_further_fields(TARGETS[name].write(pair, "Seven."), {"id": number})
    assert json_line(record).decode() == EXAMPLES[name]
