"""Choices and filters in sentences."""

from __future__ import annotations

from refinement.method.pairs import UnscorableReason

WHY_NO_SIGNAL = {
    UnscorableReason.EMPTY: "one of its texts is empty",
    UnscorableReason.TOO_SHORT: "one of its texts is too short to be predicted",
    UnscorableReason.TRUNCATED: "its prompt fills the student's context",
    UnscorableReason.NON_FINITE: "the student answered with no finite number",
    UnscorableReason.NONE: "its losses do not give one",  # too far apart, or it was not measured
}


def apart(first: float, second: float) -> tuple[str, str]:
    """Both with two decimals, or as many as it takes to tell different numbers apart."""
    style = "f" if max(first, second) < 1e6 else "e"
    for digits in range(2, 18):
        shown = f"{first:.{digits}{style}}", f"{second:.{digits}{style}}"
        if first == second or shown[0] != shown[1]:
            return shown
    return repr(first), repr(second)


def join(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def moved(before: float, after: float) -> str:
    if after == before:
        return "tied"
    return "rose" if after > before else "fell"


def article(noun: str) -> str:
    """The noun with its article as it is spoken: "an IFD", "an r-IFD", "a perplexity"."""
    return f"an {noun}" if noun.startswith(("IFD", "r-IFD", "S-IFD", "RSR")) else f"a {noun}"
