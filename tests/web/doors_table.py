"""The table of docs/security.md, who may enter where: written by ``-m tests.web.doors_table``.

It is made from the doors that ``test_access.py`` tries with every kind of visitor, so what stands
there was tried.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from django.urls import URLPattern, URLResolver, get_resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- doors: begin -->\n", "<!-- doors: end -->\n"
HEAD = ("anonymous", "stranger", "viewer", "reviewer", "owner", "admin")
OPEN = {"login", "logout", "healthz", "readyz"}
WORD = {200: "yes", 403: "403", 404: "404"}


def routes() -> dict[str, str]:
    """The route of each name, as a reader writes it: ``/runs/{run}/pause``."""

    def walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            route = before + str(pattern.pattern)
            if isinstance(pattern, URLResolver) and pattern.app_name == "api":
                continue
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, route)
            elif pattern.name:
                yield pattern.name, "/" + re.sub(r"<(?:\w+:)?(\w+?)(?:_id)?>", r"{\1}", route)

    return dict(walk(get_resolver().url_patterns, ""))


def table() -> str:
    from tests.web.conftest import WHO
    from tests.web.test_access import DOORS, ELSEWHERE, FROM_REVIEWER, Door

    also = [
        Door("undo", FROM_REVIEWER, method="post"),
        Door("withdraw", FROM_REVIEWER, method="post"),
        Door("token-revoke", dict.fromkeys(WHO, 404), method="post"),  # of somebody else's token
    ]
    place = routes()
    rows = []
    for door in sorted([*DOORS, *also], key=lambda d: (place[d.name], d.method)):
        words = [WORD[door.expected[who]] for who in ("stranger", "viewer", "reviewer", "owner")]
        first = "yes" if door.public else "login"
        cells = [first, *words, WORD[door.expected["staff"]]]
        rows.append(f"| {door.method.upper()} | `{place[door.name]}` | {' | '.join(cells)} |")
    told = {door.name for door in also}
    for name in sorted(set(ELSEWHERE) - told):
        cells = ["yes"] * len(HEAD) if name in OPEN else [f"see `{ELSEWHERE[name]}`", *[""] * 5]
        rows.append(f"| – | `{place[name]}` | {' | '.join(cells)} |")
    rows += _operations()
    head = f"| | address | {' | '.join(HEAD)} |\n|{' --- |' * (len(HEAD) + 2)}\n"
    return head + "\n".join(rows) + "\n"


def _operations() -> list[str]:
    """The API's, with a token for everything that its person may do."""
    from tests.api.test_access import CALLS

    rows = []
    for call in sorted(CALLS, key=lambda c: (c.path, c.method)):
        words = [WORD[call.expected[who]] for who in ("stranger", "viewer", "reviewer", "owner")]
        path = "/api/v1" + call.path.partition("?")[0].replace("_id}", "}")
        cells = ["401", *words, WORD[call.expected["staff"]]]
        rows.append(f"| {call.method.upper()} | `{path}` | {' | '.join(cells)} |")
    return rows


def written() -> str:
    return PLACE.read_text().partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    text = PLACE.read_text()
    before, _, rest = text.partition(BEGIN)
    PLACE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    main()
