"""Full-text search in the texts of a run: originals, rewrites and edits, as one condition.

A search is words: all of them must be in one and the same text. ``"two words"`` in quotes stand
beside each other, ``-word`` must not be there, ``begin*`` is any word that begins so. Whatever else
is typed means itself; nothing that a person types is read as a database's own query language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from refinement.readmodel.words import CANDIDATES, SAMPLES, VECTOR

if TYPE_CHECKING:
    from refinement.models import Run

COMMON = 4_000  # texts, in all runs together
_UNKNOWN_SHARE = 0.006  # PostgreSQL takes a word that it knows nothing of to be in 0.005 of them
_PIECES = re.compile(r'(-?)"([^"]*)"|(-?)(\S+)')
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A word or a phrase. ``begins``: its last word may go on."""

    text: str
    absent: bool = False
    begins: bool = False

    @property
    def words(self) -> list[str]:
        return _WORDS.findall(self.text)


def parse(search: str) -> list[Wanted]:
    """The pieces of a search that have a letter or a digit; at least one of them must be there."""
    found = []
    for minus, phrase, bare_minus, bare in _PIECES.findall(search):
        piece = Wanted(phrase or bare, bool(minus or bare_minus), bare.endswith("*"))
        if piece.words:
            found.append(piece)
    return found if any(not piece.absent for piece in found) else []


def has_words(search: str) -> Q:
    """Asked of one pair: do its texts have the words?"""
    wanted = parse(search)
    if not wanted:
        return Q(pk__in=[])
    matches, parameters = _matches(wanted)
    sample, candidate = (
        f"EXISTS (SELECT 1 FROM {table} t WHERE {match} AND t.{key} = {{}})"
        for table, match, key in matches
    )
    row = "refinement_runsample"
    condition = (
        f"({sample.format(f'{row}.sample_id')} OR EXISTS (SELECT 1 FROM refinement_candidate c "
        f"WHERE c.run_sample_id = {row}.id AND {candidate.format('c.id')}))"
    )
    return Q(RawSQL(condition, parameters * 2, output_field=BooleanField()))


def ids_with_words(run: Run, search: str) -> Q:
    """The pairs of a run that the word indexes lead to."""
    wanted = parse(search)
    if not wanted:
        return Q(pk__in=[])
    matches, parameters = _matches(wanted)
    sample, candidate = (
        f"SELECT t.{key} FROM {table} t WHERE {match}" for table, match, key in matches
    )
    found = (
        f"SELECT r.id FROM refinement_runsample r WHERE r.run_id = %s AND r.sample_id IN ({sample})"
        f" UNION SELECT c.run_sample_id FROM refinement_candidate c WHERE c.id IN ({candidate})"
    )
    # What a person typed is a parameter, here and above.
    return Q(pk__in=RawSQL(found, [run.pk, *parameters, *parameters]))


def is_common(search: str) -> bool:
    """Whether more texts have the words than are worth finding all, without finding them.

    FTS5 stops at the limit. PostgreSQL is asked how many its statistics make it expect: of a word
    that they do not hold a fixed share of all texts, whatever their number, so those are counted.
    """
    wanted = parse(search)
    if not wanted:
        return False
    matches, parameters = _matches(wanted)
    return any(_expected(table, match, parameters) > COMMON for table, match, _ in matches)


def _expected(table: str, match: str, parameters: list[str]) -> int:
    select = f"SELECT 1 FROM {table} t WHERE {match}"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"EXPLAIN (FORMAT JSON) {select}", parameters)
            expected = int(cursor.fetchone()[0][0]["Plan"]["Plan Rows"])
            if expected <= COMMON or expected > _UNKNOWN_SHARE * _texts(table) > 0:
                return expected
        cursor.execute(f"SELECT COUNT(*) FROM ({select} LIMIT {COMMON + 1})", parameters)
        return int(cursor.fetchone()[0])


def _texts(table: str) -> float:
    """How many texts PostgreSQL believes to be there; negative where it never looked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [table])
        return float(cursor.fetchone()[0])


def _matches(wanted: list[Wanted]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """For originals and for rewrites: the table, the condition on its row ``t``, the id's name."""
    if connection.vendor == "sqlite":
        query = _fts5(wanted)
        tables = (SAMPLES, CANDIDATES)
        return [(words, f"t.{words} MATCH %s", "rowid") for words in tables], [query]
    query, parameters = _tsquery(wanted)
    vector = VECTOR.format(row="t.")
    return [
        (SAMPLES, f"t.words @@ ({query})", "id"),
        ("refinement_candidate", f"{vector} @@ ({query})", "id"),
    ], parameters


def _fts5(wanted: list[Wanted]) -> str:
    """Letters and digits in quotes, where FTS5 knows no operators."""

    def phrase(piece: Wanted) -> str:
        return f'"{" ".join(piece.words)}"' + ("*" if piece.begins else "")

    present = " AND ".join(phrase(piece) for piece in wanted if not piece.absent)
    absent = " OR ".join(phrase(piece) for piece in wanted if piece.absent)
    return f"({present}) NOT ({absent})" if absent else present


def _tsquery(wanted: list[Wanted]) -> tuple[str, list[str]]:
    """PostgreSQL splits the words as it did for the index; operators are ours alone."""
    parts, parameters = [], []
    for piece in wanted:
        if piece.begins:
            words = [f"'{word}'" for word in piece.words]
            parts.append(f"{'!!' * piece.absent}to_tsquery('simple', %s)")
            parameters.append(" <-> ".join(words) + ":*")
        else:
            parts.append(f"{'!!' * piece.absent}phraseto_tsquery('simple', %s)")
            parameters.append(piece.text)
    return " && ".join(parts), parameters
