"""The figures of a file as pictures: bars whose places are attributes of SVG, computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 320, 72  # of a histogram
_LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def charts(profile: Mapping[str, Any]) -> dict[str, Any] | None:
    """What ``datasets/_profile.html`` draws; ``None`` where there is nothing to draw."""
    pairs = profile.get("pairs")
    if not pairs:
        return None
    duplicates = profile["duplicates"]
    looked_at = sum(count for _, count in profile["languages"])
    return {
        "pairs": pairs,
        "lengths": [_histogram(name, profile["lengths"][name]) for name in profile["lengths"]],
        "bars": [
            _bar("without an input", profile["empty"]["input"], pairs),
            _bar("with an empty response", profile["empty"]["response"], pairs),
            _bar("with earlier turns or a system prompt", profile["with_context"], pairs),
            _bar("the same as an earlier pair", duplicates["exact"], pairs),
            _bar("nearly the same as an earlier pair", duplicates["near"] or 0, pairs),
        ],
        "languages": [
            _bar(_LANGUAGES.get(code, code), count, looked_at)
            for code, count in profile["languages"]
        ],
        "looked_at": looked_at,
        "near_looked_at": duplicates["looked_at"],
        "rewrites": profile.get("rewrites", {}),
    }


def _histogram(name: str, spread: Mapping[str, Any]) -> dict[str, Any]:
    bins: Sequence[Sequence[int]] = spread["bins"]
    highest = max((count for _, _, count in bins), default=0) or 1
    step = WIDTH / max(1, len(bins))
    columns = []
    for number, (first, last, count) in enumerate(bins):
        height = max(1.0, HEIGHT * count / highest) if count else 0.0
        columns.append(
            {
                "x": f"{number * step + 1:.1f}",
                "y": f"{HEIGHT - height:.1f}",
                "width": f"{step - 2:.1f}",
                "height": f"{height:.1f}",
                "middle": f"{(number + 0.5) * step:.1f}",
                "label": _short(first),
                "title": f"{count:,} of {first:,} to {last:,} characters",
            }
        )
    return {"name": name, "columns": columns, **spread}


def _short(number: int) -> str:
    for size, unit in ((1024**2, "M"), (1024, "k")):
        if number >= size:
            return f"{number // size}{unit}"
    return str(number)


def _bar(label: str, count: int, whole: int) -> dict[str, Any]:
    return {"label": label, "count": count, "part": f"{100 * count / max(1, whole):.1f}"}
