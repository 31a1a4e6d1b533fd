"""No text can hide a character or turn the others round."""

from __future__ import annotations

import unicodedata

from refinement.visible_text import visible


def test_escapes_and_overrides_get_signs() -> None:
    assert visible("\x1b[31mred\x1b[0m\x07") == "␛[31mred␛[0m␇"
    assert visible("safe\u202egpj.exe") == "safe⟦RLO⟧gpj.exe"
    assert visible("a\u2066b\u2069") == "a⟦LRI⟧b⟦PDI⟧"
    assert visible("\x9b31m") == "⟦9B⟧31m"


def test_texts_of_all_scripts_stay_as_they_are() -> None:
    for text in ("naïve\tcafé\r\n", "שלום \u200f!", "نمی\u200cخواهم", "👩\u200d🔬", "हिन्दी"):
        assert visible(text) == text


def test_no_character_that_turns_a_line_is_left() -> None:
    turning = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    every = "".join(c for c in map(chr, range(0x3000)) if unicodedata.bidirectional(c) in turning)
    assert len(every) == 9
    assert not set(visible(every)) & set(every)
