"""What ``RunCount`` counts, as SQL: one list of keys, for triggers and for counting all anew."""

from __future__ import annotations

from typing import NamedTuple


class Counted(NamedTuple):
    """One figure that each row of a table adds 1 to. SQL over the row's columns after ``{row}``."""

    key: str
    tokens_before: str = "0"
    tokens_after: str = "0"
    only: str = "1 = 1"


_KEPT = "CASE WHEN {row}verdict_kept THEN '1' WHEN {row}verdict_kept IS NULL THEN '' ELSE '0' END"
_TOOK_RESPONSE = "CASE WHEN {{row}}accepted >= 2 THEN COALESCE({{row}}{}, 0) ELSE 0 END"

COUNTED: dict[str, tuple[Counted, ...]] = {
    "refinement_runsample": (
        Counted("'state:' || {row}stage || ':' || {row}state"),
        Counted("'reason:' || {row}error_reason", only="{row}state = 'failed'"),
    ),
    "refinement_queueentry": (
        Counted("'cell:' || {row}cell"),
        Counted(
            "'judged:' || {row}judged || ':' || {row}accepted || ':' || " + _KEPT,
            tokens_before=_TOOK_RESPONSE.format("tokens_before"),
            tokens_after=_TOOK_RESPONSE.format("tokens_after"),
        ),
    ),
}

ADD = "INSERT INTO refinement_runcount (run_id, key, n, tokens_before, tokens_after)"


def summed(changes: dict[str, int], table: str) -> str:
    """A SELECT of what rows add up to. ``changes``: relations with its rows, and a sign."""
    parts = []
    for relation, sign in changes.items():
        for counted in COUNTED[table]:
            key, before, after, only = (text.format(row="") for text in counted)
            parts.append(
                f"SELECT run_id, {key} AS key, {sign} AS n, {sign} * ({before}) AS before, "
                f"{sign} * ({after}) AS after FROM {relation} WHERE {only}"
            )
    union = "\nUNION ALL\n".join(parts)
    return (
        f"{ADD}\nSELECT run_id, key, SUM(n), SUM(before), SUM(after) FROM (\n{union}\n) changed\n"
        "GROUP BY run_id, key HAVING SUM(n) <> 0 OR SUM(before) <> 0 OR SUM(after) <> 0"
    )
