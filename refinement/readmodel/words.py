"""The words of each text, for full-text search: texts never change, so neither do their indexes.

SQLite gets a table of FTS5 for each table of texts, without a copy of the texts. PostgreSQL gets a
table of words for the originals, and for the rewrites an index of the words that are worked out
from the row. Both fold case; FTS5 folds accents too.

A rewrite is indexed when it is written, an original when its first run puts it into the queue: an
import of a million rows would otherwise take several times as long, for words that nobody can
search yet.
"""

from __future__ import annotations

SAMPLES, CANDIDATES = "refinement_samplewords", "refinement_candidatewords"
TABLES = {"refinement_sample": SAMPLES, "refinement_candidate": CANDIDATES}

MOST_CHARACTERS = 100_000  # of one text; PostgreSQL has a limit, and nobody finds by word 20,001

VECTOR = (
    "to_tsvector('simple', left({row}instruction || ' ' || {row}input || ' ' || {row}response, "
    f"{MOST_CHARACTERS}))"
)
_TEXT = (
    "substr({row}instruction || ' ' || {row}input || ' ' || {row}response, 1, "
    f"{MOST_CHARACTERS})"
)
_IN_THE_QUEUE = (
    "FROM refinement_queueentry e JOIN refinement_runsample r ON r.id = e.run_sample_id "
    "JOIN refinement_sample s ON s.id = r.sample_id"
)


# -- SQLite ---------------------------------------------------------------------------------------
def sqlite_table(words: str) -> str:
    return (
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {words} USING fts5("
        "text, content='', tokenize=\"unicode61 remove_diacritics 2\")"
    )


def sqlite_add_candidate() -> str:
    """SQL that indexes one new rewrite, ``NEW``."""
    return f"INSERT INTO {CANDIDATES} (rowid, text) SELECT NEW.id, {_TEXT.format(row='NEW.')}"


def sqlite_add_candidates() -> str:
    """SQL that indexes what is newer than the newest known rewrite; ids are never used twice."""
    return (
        f"INSERT INTO {CANDIDATES} (rowid, text) SELECT id, {_TEXT.format(row='')} "
        "FROM refinement_candidate "
        f"WHERE id > (SELECT COALESCE(MAX(id), 0) FROM {CANDIDATES}_docsize)"
    )


def sqlite_add_samples(entry: str = "") -> str:
    """SQL that indexes the originals in the queue that are not known, or of one ``entry`` alone."""
    only = f"e.run_sample_id = {entry} AND " if entry else ""
    return (
        f"INSERT INTO {SAMPLES} (rowid, text) SELECT DISTINCT s.id, {_TEXT.format(row='s.')} "
        f"{_IN_THE_QUEUE} WHERE {only}"
        f"NOT EXISTS (SELECT 1 FROM {SAMPLES}_docsize known WHERE known.id = s.id)"
    )


# -- PostgreSQL -----------------------------------------------------------------------------------
def postgresql_candidate_index() -> str:
    vector = VECTOR.format(row="")
    return f"CREATE INDEX {CANDIDATES} ON refinement_candidate USING gin ({vector})"


def postgresql_sample_table() -> str:
    return f"CREATE TABLE {SAMPLES} (id bigint PRIMARY KEY, words tsvector NOT NULL)"


def postgresql_sample_index() -> str:
    return f"CREATE INDEX IF NOT EXISTS {SAMPLES}_words ON {SAMPLES} USING gin (words)"


def postgresql_add_samples(entries: str = "refinement_queueentry") -> str:
    """SQL that indexes the originals of ``entries`` that are not known. In the order of their ids,
    so that two runs of one dataset do not wait for each other crosswise."""
    found = _IN_THE_QUEUE.replace("refinement_queueentry", entries)
    return (
        f"INSERT INTO {SAMPLES} (id, words) SELECT DISTINCT ON (s.id) s.id, "
        f"{VECTOR.format(row='s.')} {found} WHERE NOT EXISTS "
        f"(SELECT 1 FROM {SAMPLES} known WHERE known.id = s.id) ORDER BY s.id "
        "ON CONFLICT DO NOTHING"
    )
