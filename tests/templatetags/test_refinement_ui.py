from __future__ import annotations

from decimal import Decimal

import pytest

from refinement.templatetags.refinement_ui import (
    compact,
    duration,
    icon,
    last_part,
    normal,
    percent,
    rate,
    short_hash,
)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, 0), (None, 10, 0), (3, None, 0), (1, 3, 33), (999, 1000, 99), (5, 5, 100), (9, 5, 100)],
)
def test_percent_is_100_only_at_the_end(part: int, whole: int, shown: int) -> None:
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (317, "5 min 17 s"),
        (600, "10 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
    ],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (0, "0"),
        (0.254, "0.25"),
        (3.44, "3.4"),
        (242.4, "242"),
        (12_345.6, "12,346"),
    ],
)
def test_rate(value: float | None, words: str) -> None:
    assert rate(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (12_345, "12.3k"),
        (345_678, "345.7k"),
        (1_234_567, "1.23M"),
        (98_765_432, "98.8M"),
        (1_200_000_000, "1.20B"),
    ],
)
def test_compact(value: int, words: str) -> None:
    assert compact(value) == words


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/models/mine/", "mine"),
        ("~/mine.gguf", "mine.gguf"),
        ("./mine", "mine"),
        ("maker/model", "maker/model"),
        ("", ""),
    ],
)
def test_a_local_model_is_known_by_its_name(path: str, name: str) -> None:
    assert last_part(path) == name


def test_normal_and_short_hash() -> None:
    assert [normal(Decimal(text)) for text in ("0.1500", "2.0000", "10", "0")] == [
        "0.15",
        "2",
        "10",
        "0",
    ]
    assert short_hash("a" * 64) == "a" * 12


def test_an_icon_is_decoration() -> None:
    assert 'aria-hidden="true"' in icon("play")
    assert "icons.svg#&lt;b&gt;" in icon("<b>")
