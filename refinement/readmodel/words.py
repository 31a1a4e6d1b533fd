"""The words of each text, for full-text search: texts never change, so neither do their indexes.

SQLite gets a table of FTS5 beside each table of texts, without a copy of the texts; PostgreSQL an
index of the words that are worked out from the row. Both fold case; FTS5 folds accents too.
"""

from __future__ import annotations

TABLES = {
    "refinement_sample": "refinement_samplewords",
    "refinement_candidate": "refinement_candidatewords",
}

MOST_CHARACTERS = 100_000  # of one text; PostgreSQL has a limit, and nobody finds by word 20,001

VECTOR = (
    "to_tsvector('simple', left({row}instruction || ' ' || {row}input || ' ' || {row}response, "
    f"{MOST_CHARACTERS}))"
)


def sqlite_table(words: str) -> str:
    return (
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {words} USING fts5("
        "text, content='', tokenize=\"unicode61 remove_diacritics 2\")"
    )


def sqlite_add(table: str, row: str = "") -> str:
    """SQL that indexes one new row (``NEW.``) or, without ``row``, all of the table."""
    whole = f"{row}instruction || ' ' || {row}input || ' ' || {row}response"
    text = f"substr({whole}, 1, {MOST_CHARACTERS})"
    source = "" if row else f" FROM {table}"
    return f"INSERT INTO {TABLES[table]} (rowid, text) SELECT {row}id, {text}{source}"


def postgresql_index(table: str) -> str:
    vector = VECTOR.format(row="")
    return f"CREATE INDEX IF NOT EXISTS {TABLES[table]} ON {table} USING gin ({vector})"
