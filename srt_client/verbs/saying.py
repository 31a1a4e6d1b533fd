"""How verbs answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def tell(found: dict[str, Any], *, only_id: bool = False) -> None:
    """Answers go to stdout as JSON, for other programs to read."""
    print(found["id"] if only_id else json.dumps(found, ensure_ascii=False, indent=2))


def tell_lines(found: Iterable[dict[str, Any]]) -> None:
    """Lists go to stdout as JSON Lines, each line as soon as it is there."""
    for one in found:
        print(json.dumps(one, ensure_ascii=False))


def pairs_of(words: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` words as a dict. Raises ValueError for a word without ``=``."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"write NAME=VALUE instead of “{word}”")
        found[name] = value
    return found
