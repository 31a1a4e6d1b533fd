"""The figures of a file as pictures: bars whose places are attributes of SVG, computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import get_language_info, gettext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 320, 72  # of a histogram


def charts(profile: Mapping[str, Any]) -> dict[str, Any] | None:
    """What ``datasets/_profile.html`` draws; ``None`` where there is nothing to draw."""
    pairs = profile.get("pairs")
    if not pairs:
        return None
    duplicates = profile["duplicates"]
    looked_at = sum(count for _, count in profile["languages"])
    return {
        "pairs": pairs,
        "lengths": [
            _histogram(name, profile["lengths"][name]) for name in ("instruction", "response")
        ],
        "bars": [
            _bar(gettext("without an input"), profile["empty"]["input"], pairs),
            *_placeholders(profile["empty"].get("placeholder", 0), pairs),
            _bar(gettext("with an empty response"), profile["empty"]["response"], pairs),
            _bar(gettext("with earlier turns or a system prompt"), profile["with_context"], pairs),
            _bar(gettext("the same as an earlier pair"), duplicates["exact"], pairs),
            _bar(gettext("nearly the same as an earlier pair"), duplicates["near"] or 0, pairs),
        ],
        "languages": [
            _bar(_language(code), count, looked_at) for code, count in profile["languages"]
        ],
        "looked_at": looked_at,
        "near_looked_at": duplicates["looked_at"],
        "rewrites": profile.get("rewrites", {}),
    }


def _placeholders(count: int, pairs: int) -> list[dict[str, Any]]:
    """A line where there are some: a teacher and a student would read them as an input."""
    words = gettext("with an input that only says there is none (noinput, n/a)")
    return [_bar(words, count, pairs)] if count else []


def _language(code: str) -> str:
    """Its name in the reader's language, by Django's own list; a code that it lacks as it is."""
    try:
        return str(get_language_info({"zh": "zh-hans"}.get(code, code))["name_translated"])
    except KeyError:
        return code


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
                "title": gettext("%(count)s of %(first)s to %(last)s characters")
                % {"count": intcomma(count), "first": intcomma(first), "last": intcomma(last)},
            }
        )
    return {"name": name, "columns": columns, **spread}


def _short(number: int) -> str:
    for size, unit in ((1024**2, "M"), (1024, "k")):
        if number >= size:
            return f"{number // size}{unit}"
    return str(number)


def _bar(label: str, count: int, whole: int) -> dict[str, Any]:
    return {"label": label, "count": count, "part": round(100 * count / max(1, whole), 1)}
