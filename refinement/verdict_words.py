"""What the student said of a pair, in the reader's language.

A verdict keeps the sentence that was said then, in English: it is part of the record, of exports
and of the API. A page shows the same sentence with its words translated and its numbers as they
are written there. One that is not known here stays as it was said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.utils import formats
from django.utils.translation import get_language, gettext, gettext_noop

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER = r"[\d.]+(?:e[+-]\d+)?"
# Heads, clauses and reasons as refinement.method.policies writes them.
_HEADS = {
    "kept": gettext_noop("kept"),
    "not kept": gettext_noop("not kept"),
    "kept the rewrite": gettext_noop("kept the rewrite"),
    "kept the original": gettext_noop("kept the original"),
    "kept the earlier response": gettext_noop("kept the earlier response"),
}
_WHY = {
    "one of its texts is empty": gettext_noop("one of its texts is empty"),
    "one of its texts is too short to be predicted": gettext_noop(
        "one of its texts is too short to be predicted"
    ),
    "its prompt fills the student's context": gettext_noop(
        "its prompt fills the student's context"
    ),
    "the student answered with no finite number": gettext_noop(
        "the student answered with no finite number"
    ),
    "its losses do not give one": gettext_noop("its losses do not give one"),
}
_CLAUSES = (
    gettext_noop("%(name)s rose from %(first)s to %(second)s"),
    gettext_noop("%(name)s fell from %(first)s to %(second)s"),
    gettext_noop("the rewrite has the same %(name)s, %(first)s"),
    gettext_noop("the rewrite has the higher %(name)s, %(second)s against %(first)s"),
    gettext_noop("the rewrite has the lower %(name)s, %(second)s against %(first)s"),
    gettext_noop("the rewrite cannot be scored, because %(why)s"),
    gettext_noop("this policy takes every rewrite"),
    gettext_noop("this policy takes no rewrite in this phase"),
    gettext_noop("by chance, seed %(seed)s"),
    gettext_noop("there is no rewrite of it"),
    gettext_noop("there is no rewrite"),
    gettext_noop("what it replaces has no %(name)s, because %(why)s"),
    gettext_noop("the rewrite has no %(name)s, because %(why)s"),
    gettext_noop("neither it nor the rewrite has an %(name)s, the latter because %(why)s"),
    gettext_noop("neither it nor the rewrite has a %(name)s, the latter because %(why)s"),
    gettext_noop("the policy filters nothing"),
    gettext_noop("the rewrite of the response was accepted"),
    gettext_noop("the rewrite of the response was not accepted"),
    gettext_noop("the pair has no %(name)s, because %(why)s, and it has to be below %(first)s"),
    gettext_noop("%(name)s %(first)s is below %(second)s"),
    gettext_noop("%(name)s %(first)s is not below %(second)s"),
    gettext_noop("not among the %(count)s chosen to cover the better pairs widely"),
    gettext_noop("not among the %(count)s pairs with the highest %(name)s"),
    gettext_noop("not among the %(count)s pairs with the lowest %(name)s"),
    gettext_noop("not among the %(count)s pairs with the highest %(name)s, which end at %(first)s"),
    gettext_noop("not among the %(count)s pairs with the lowest %(name)s, which end at %(first)s"),
)

_HOLES = {
    "name": r"[\w -]+?",
    "first": _NUMBER,
    "second": _NUMBER,
    "seed": r"\d+",
    "count": r"[\d,]+",
    "why": "|".join(map(re.escape, _WHY)),
}
_HOLE = re.compile(r"%\((\w+)\)s")
# Between the filters that a kept pair has passed: "a, b and c".
_NEXT = re.compile(r"(?:, | and )(?=(?:IFD|r-IFD|the rewrite of) )")


def _pattern(clause: str) -> re.Pattern[str]:
    pieces = _HOLE.split(clause)  # text, hole, text, ...
    for place in range(0, len(pieces), 2):
        pieces[place] = re.escape(pieces[place])
    for place in range(1, len(pieces), 2):
        pieces[place] = f"(?P<{pieces[place]}>{_HOLES[pieces[place]]})"
    return re.compile("".join(pieces))


_PATTERNS = {clause: _pattern(clause) for clause in _CLAUSES}


def in_their_words(sentence: str) -> str:
    """The sentence in the language of the page."""
    if (get_language() or "en").startswith("en"):
        return sentence
    head, colon, rest = sentence.partition(": ")
    clauses = [_clause(part) for part in _NEXT.split(rest)]
    if head not in _HEADS or not colon or None in clauses:
        return sentence
    return f"{gettext(_HEADS[head])}: {_joined([clause for clause in clauses if clause])}"


def _clause(part: str) -> str | None:
    for clause, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(part):
            return gettext(clause) % dict(_filled(found.groupdict()))
    return None


def _filled(holes: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in holes.items():
        if name == "why":
            yield name, gettext(_WHY[text])
        elif name == "count":
            yield name, formats.number_format(int(text.replace(",", "")), force_grouping=True)
        else:
            yield name, text.replace(".", formats.get_format("DECIMAL_SEPARATOR"))


def _joined(clauses: list[str]) -> str:
    if len(clauses) == 1:
        return clauses[0]
    return gettext("%(first)s and %(last)s") % {
        "first": ", ".join(clauses[:-1]),
        "last": clauses[-1],
    }
