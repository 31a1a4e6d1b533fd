"""The triggers of both databases, as SQL statements by name."""

from __future__ import annotations

from refinement.readmodel import counts, words
from refinement.readmodel.entries import WORTH_AN_ENTRY, say_anew, upsert

_OVER = "CASE WHEN {row}state IN ('done', 'failed') THEN {row}state ELSE '' END"


# -- SQLite: row by row ---------------------------------------------------------------------------
def sqlite_triggers() -> dict[str, str]:
    found = _sqlite_entries() | _sqlite_counts() | _sqlite_words()
    return {
        name: f"CREATE TRIGGER {{name}} AFTER {when}\nBEGIN\n{body};\nEND"
        for name, (when, body) in found.items()
    }


def _sqlite_entries() -> dict[str, tuple[str, str]]:
    """What renews a pair's entry in the queue."""

    def renew(row: str) -> str:
        return upsert(f"rs.id = {row}")

    old, new = _OVER.format(row="OLD."), _OVER.format(row="NEW.")
    # A run that is deleted loses its entries first, and then its decisions one by one.
    there = "EXISTS (SELECT 1 FROM refinement_queueentry e WHERE e.run_sample_id = NEW.id)"
    failed = "NEW.state = 'failed' AND OLD.state <> 'failed'"
    moved = f"({new} <> {old} AND (NEW.decision_id IS NOT NULL OR ({failed}) OR {there}))"
    said = "NEW.decision_id IS NOT OLD.decision_id"
    said_first = f"({said} AND NEW.decision_id IS NOT NULL AND NOT {there})"
    judged = upsert(f"rs.id = NEW.run_sample_id AND {WORTH_AN_ENTRY}")
    return {
        "verdict_insert": ("INSERT ON refinement_verdict", renew("NEW.run_sample_id")),
        "verdict_update": ("UPDATE ON refinement_verdict", renew("NEW.run_sample_id")),
        "sample_insert": (
            "INSERT ON refinement_runsample WHEN NEW.state = 'failed'",
            renew("NEW.id"),
        ),
        "sample_update": (
            f"UPDATE OF state, decision_id ON refinement_runsample WHEN {moved} OR {said_first}",
            renew("NEW.id"),
        ),
        "sample_said": (
            f"UPDATE OF decision_id ON refinement_runsample WHEN {said} AND {there}",
            say_anew("run_sample_id = NEW.id"),
        ),
        "opinion_insert": ("INSERT ON refinement_opinion", judged),
        "opinion_update": ("UPDATE ON refinement_opinion", judged),
    }


def _sqlite_counts() -> dict[str, tuple[str, str]]:
    found = {}
    for table in counts.COUNTED:
        for event, signs in (
            ("INSERT", {"NEW.": 1}),
            ("UPDATE", {"OLD.": -1, "NEW.": 1}),
            ("DELETE", {"OLD.": -1}),
        ):
            body = ";\n".join(_sqlite_count(table, row, sign) for row, sign in signs.items())
            found[f"{table}_{event.lower()}"] = (f"{event} ON {table}", body)
    return found


def _sqlite_words() -> dict[str, tuple[str, str]]:
    return {
        words.CANDIDATES: ("INSERT ON refinement_candidate", words.sqlite_add_candidate()),
        words.SAMPLES: (
            "INSERT ON refinement_queueentry",
            words.sqlite_add_samples("NEW.run_sample_id"),
        ),
    }


def _sqlite_count(table: str, row: str, sign: int) -> str:
    """There is one writer, so a plain row for each key will do."""
    statements = []
    for counted in counts.COUNTED[table]:
        key, before, after, only = (text.format(row=row) for text in counted)
        mine = f"run_id = {row}run_id AND key = {key}"
        statements += [
            (
                f"{counts.ADD} SELECT {row}run_id, {key}, 0, 0, 0 WHERE {only} "
                f"AND NOT EXISTS (SELECT 1 FROM refinement_runcount WHERE {mine})"
            ),
            (
                f"UPDATE refinement_runcount SET n = n + {sign}, "
                f"tokens_before = tokens_before + {sign} * ({before}), "
                f"tokens_after = tokens_after + {sign} * ({after}) "
                f"WHERE id = (SELECT MIN(id) FROM refinement_runcount WHERE {mine}) AND {only}"
            ),
        ]
    return ";\n".join(statements)


# -- PostgreSQL: statement by statement -----------------------------------------------------------
# A plan for one row and for thousands, kept: to plan a dozen joins anew takes five times as long as
# to run them for a row.
_FUNCTION = """CREATE OR REPLACE FUNCTION {{name}}() RETURNS trigger LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
DECLARE ids bigint[];
BEGIN
{body};
RETURN NULL;
END $$"""

_TABLES_OF = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
}
_SIGNS = {
    "INSERT": {"new_rows": 1},
    "UPDATE": {"old_rows": -1, "new_rows": 1},
    "DELETE": {"old_rows": -1},
}


def postgresql_triggers() -> dict[str, str]:
    """Function and trigger of each, in one statement text."""
    found = _postgresql_entries() | _postgresql_words() | _postgresql_counts()
    return {
        name: _FUNCTION.format(body=body)
        + f";\nCREATE TRIGGER {{name}} AFTER {event} ON {table} {_TABLES_OF[event]} "
        "FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        for name, (event, table, body) in found.items()
    }


def _postgresql_entries() -> dict[str, tuple[str, str, str]]:
    """What renews pairs' entries in the queue."""
    state = _OVER.format(row="")
    there = "EXISTS (SELECT 1 FROM refinement_queueentry e WHERE e.run_sample_id = changed.id)"
    failing = _differing("id", only="state = 'failed'")
    moved = (
        f"SELECT id FROM ({_differing(f'id, {state}')}) changed WHERE {there} "
        "OR id IN (SELECT id FROM new_rows WHERE decision_id IS NOT NULL) "
        f"OR id IN ({failing})"
    )
    said = f"SELECT id FROM ({_differing('id, decision_id')}) changed"
    said_first = f"{said} WHERE decision_id IS NOT NULL AND NOT {there}"
    verdict = _renew("SELECT run_sample_id FROM new_rows")
    judged = _renew("SELECT DISTINCT run_sample_id FROM new_rows", f" AND {WORTH_AN_ENTRY}")
    failed = _renew("SELECT id FROM new_rows WHERE state = 'failed'")
    return {
        "verdict_insert": ("INSERT", "refinement_verdict", verdict),
        "verdict_update": ("UPDATE", "refinement_verdict", verdict),
        "opinion_insert": ("INSERT", "refinement_opinion", judged),
        "opinion_update": ("UPDATE", "refinement_opinion", judged),
        "sample_insert": ("INSERT", "refinement_runsample", failed),
        "sample_update": (
            "UPDATE",
            "refinement_runsample",
            _renew(f"{moved} UNION {said_first}"),
        ),
        "sample_said": (
            "UPDATE",
            "refinement_runsample",
            _of_ids(said, say_anew("run_sample_id = ANY(ids)")),
        ),
    }


def _differing(columns: str, *, only: str = "1 = 1") -> str:
    """What an update made of some columns, where that is not what they were."""
    return (
        f"SELECT {columns} FROM new_rows WHERE {only} "
        f"EXCEPT SELECT {columns} FROM old_rows WHERE {only}"
    )


def _renew(ids: str, only: str = "") -> str:
    return _of_ids(ids, upsert(f"rs.id = ANY(ids){only}"))


def _of_ids(ids: str, statement: str) -> str:
    """By a list of ids: a plan that was made for a row and kept must serve for a thousand."""
    return f"ids := ARRAY({ids});\nIF cardinality(ids) = 0 THEN RETURN NULL; END IF;\n{statement}"


def _postgresql_words() -> dict[str, tuple[str, str, str]]:
    return {
        words.SAMPLES: (
            "INSERT",
            "refinement_queueentry",
            words.postgresql_add_samples("new_rows"),
        ),
        f"{words.SAMPLES}_delete": (
            "DELETE",
            "refinement_sample",
            f"DELETE FROM {words.SAMPLES} WHERE id IN (SELECT id FROM old_rows)",
        ),
    }


def _postgresql_counts() -> dict[str, tuple[str, str, str]]:
    return {
        f"{table}_{event.lower()}": (event, table, counts.summed(signs, table))
        for table in counts.COUNTED
        for event, signs in _SIGNS.items()
    }
