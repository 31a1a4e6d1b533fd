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
from django.db.models import Q
from django.db.models.expressions import RawSQL

from refinement.readmodel.words import CANDIDATES, SAMPLES, VECTOR
from refinement.selectors.ids import one_of
from refinement.selectors.planned import planned

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def _in_a_pair(wanted: list[Wanted]) -> tuple[str, list[str]]:
    """The condition that a run sample's texts have the words, and its parameters."""
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
    return condition, parameters * 2


def pairs_with_words(search: str, ids: Sequence[int]) -> set[int]:
    """Which of some pairs have the words in their texts."""
    wanted = parse(search)
    if not wanted:
        return set()
    condition, parameters = _in_a_pair(wanted)
    asked, given = one_of("refinement_runsample.id", ids)
    rows = planned(
        f"SELECT id FROM refinement_runsample WHERE {asked} AND {condition}", [given, *parameters]
    )
    return {pk for (pk,) in rows}


def ids_with_words(run: Run, search: str) -> Q:
    """The pairs of a run that the word indexes lead to, however many."""
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


def few_with_words(run: Run, search: str) -> list[int] | None:
    """The same by their ids; ``None`` where more texts have the words than are worth finding.

    Step by step: PostgreSQL takes a word for frequent that it has never seen, and would plan for
    the pairs of many texts. It knows how many ids it is given.
    """
    wanted = parse(search)
    if not wanted:
        return []
    matches, parameters = _matches(wanted)
    texts = []
    for table, match, key in matches:
        ids = _rare(f"SELECT t.{key} FROM {table} t WHERE {match}", table, parameters)
        if ids is None:
            return None
        texts.append(ids)
    return _pairs_of(run, *texts)


def _rare(select: str, table: str, parameters: list[str]) -> list[int] | None:
    """The texts that have the words; ``None``: too many.

    FTS5 stops at the limit. PostgreSQL is asked how many its statistics make it expect, and of a
    word that they do not hold it expects a fixed share of all texts, whatever their number.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"EXPLAIN (FORMAT JSON) {select}", parameters)
            expected = int(cursor.fetchone()[0][0]["Plan"]["Plan Rows"])
            if expected > COMMON and expected > _UNKNOWN_SHARE * _texts(table) > 0:
                return None
        cursor.execute(f"{select} LIMIT {COMMON + 1}", parameters)
        found = [pk for (pk,) in cursor.fetchall()]
    return found if len(found) <= COMMON else None


def _pairs_of(run: Run, samples: list[int], candidates: list[int]) -> list[int]:
    """The pairs of a run by the ids of their texts."""
    original, originals = one_of("r.sample_id", samples)
    rewrite, rewrites = one_of("c.id", candidates)
    rows = planned(
        f"SELECT r.id FROM refinement_runsample r WHERE r.run_id = %s AND {original} "
        "UNION SELECT r.id FROM refinement_candidate c JOIN refinement_runsample r "
        f"ON r.id = c.run_sample_id WHERE r.run_id + 0 = %s AND {rewrite}",
        [run.pk, originals, run.pk, rewrites],
    )
    return [pk for (pk,) in rows]


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
