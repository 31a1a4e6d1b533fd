"""The one definition of a ``QueueEntry``, as SQL that SQLite and PostgreSQL both read."""

from __future__ import annotations

# The mark is what counts: the decision, else the failure, else the verdict.
_CELL = """CASE
    WHEN d.action IN ('original', 'candidate', 'edit')
      THEN CASE WHEN rs.state IN ('done', 'failed') THEN 4 ELSE 7 END
    WHEN d.action = 'drop' THEN CASE WHEN rs.state IN ('done', 'failed') THEN 5 ELSE 8 END
    WHEN rs.state = 'failed' THEN CASE WHEN d.id IS NULL THEN 3 ELSE 6 END
    WHEN d.action = 'accept' THEN
      CASE WHEN v.kept THEN 4 ELSE 5 END + CASE WHEN rs.state = 'done' THEN 0 ELSE 3 END
    WHEN rs.state <> 'done' THEN 0
    WHEN v.kept THEN 1
    ELSE 2
  END"""

_MARGIN = """CASE
    WHEN v.response_margin IS NULL OR v.instruction_margin < v.response_margin
      THEN v.instruction_margin
    ELSE v.response_margin
  END"""

# Where an opinion leads: a version's candidate, 0 for the original, -1 for leaving the pair out.
_LEADS = """CASE {o}.action
      WHEN 'original' THEN 0
      WHEN 'drop' THEN -1
      WHEN 'accept' THEN CASE WHEN v.kept THEN COALESCE(v.chosen_id, 0) ELSE -1 END
      ELSE {o}.candidate_id
    END"""

# 1: the person decided otherwise than the verdict. 2: another person's last word is another one, or
# two opinions that stand lead to different texts.
_DISAGREEMENT = f"""CASE
    WHEN d.action = 'drop' AND v.kept THEN 1
    WHEN d.action IN ('original', 'candidate', 'edit')
      AND (v.kept IS NULL OR NOT v.kept OR COALESCE(v.chosen_id, 0) <> COALESCE(d.candidate_id, 0))
      THEN 1
    ELSE 0
  END + CASE WHEN d.id IS NOT NULL AND EXISTS (
      SELECT 1 FROM refinement_decision o
      WHERE o.run_sample_id = rs.id AND o.user_id <> d.user_id AND o.action <> 'undo'
        AND (o.action <> d.action OR COALESCE(o.candidate_id, 0) <> COALESCE(d.candidate_id, 0))
        AND NOT EXISTS (
          SELECT 1 FROM refinement_decision p
          WHERE p.run_sample_id = rs.id AND p.user_id = o.user_id AND p.id > o.id)
    ) OR EXISTS (
      SELECT 1 FROM refinement_opinion o JOIN refinement_opinion q
        ON q.run_sample_id = o.run_sample_id AND q.id > o.id
      WHERE o.run_sample_id = rs.id AND o.is_current AND q.is_current
        AND {_LEADS.format(o="o")} <> {_LEADS.format(o="q")}
    ) THEN 2 ELSE 0 END"""

# Squares modulo a prime scatter neighbours; 64 bits hold them.
_SHUFFLE = "(rs.id * 2654435761 % 2147483647) * (rs.id * 2654435761 % 2147483647) % 2147483647"

_HAS = "EXISTS (SELECT 1 FROM refinement_score x WHERE x.run_sample_id = rs.id AND {})"

# What follows from the decision that counts and from the pair's state.
_SAID = {
    "cell": _CELL,
    "action": "COALESCE(d.action, '')",
    "decided_by_id": "d.user_id",
    "decided_at": "d.created_at",
    "disagreement": _DISAGREEMENT,
}
_COLUMNS = {
    "run_sample_id": "rs.id",
    "run_id": "rs.run_id",
    "position": "rs.position",
    **_SAID,
    "judged": "CASE WHEN v.id IS NULL THEN 0 WHEN v.response_winner = '' THEN 1 ELSE 2 END",
    "verdict_kept": "v.kept",
    "verdict_code": "COALESCE(v.code, '')",
    "accepted": """CASE WHEN v.instruction_winner = 'candidate' THEN 1 ELSE 0 END
    + CASE WHEN v.response_winner = 'candidate' THEN 2 ELSE 0 END""",
    "margin": _MARGIN,
    "ifd": "chosen.ifd",
    "r_ifd": "chosen.r_ifd",
    "delta_ifd": "v.instruction_after - v.instruction_before",
    "delta_r_ifd": "v.response_after - v.response_before",
    "tokens_before": "original.response_tokens",
    "tokens_after": "chosen.response_tokens",
    "length": """LENGTH(COALESCE(c.instruction, s.instruction))
    + LENGTH(COALESCE(c.input, s.input)) + LENGTH(COALESCE(c.response, s.response))""",
    "truncated": _HAS.format("x.truncated"),
    "unscorable": _HAS.format("x.status = 'unscorable'"),
    "straddled": _HAS.format("x.straddled"),
    "shuffle": _SHUFFLE,
}

_JUDGED_AND_SAID = """FROM refinement_runsample rs
LEFT JOIN refinement_verdict v ON v.run_sample_id = rs.id
LEFT JOIN refinement_decision d ON d.id = rs.decision_id"""
_FROM = f"""{_JUDGED_AND_SAID}
JOIN refinement_sample s ON s.id = rs.sample_id
LEFT JOIN refinement_candidate c ON c.id = v.chosen_id
LEFT JOIN refinement_score original
  ON original.run_sample_id = rs.id AND original.candidate_id IS NULL
LEFT JOIN refinement_score rewritten ON rewritten.candidate_id = v.chosen_id
LEFT JOIN refinement_score chosen
  ON chosen.id = CASE WHEN v.chosen_id IS NULL THEN original.id ELSE rewritten.id END"""

WORTH_AN_ENTRY = "(v.id IS NOT NULL OR d.id IS NOT NULL OR rs.state = 'failed')"


def upsert(where: str) -> str:
    """SQL that makes or renews the entries of the run samples ``rs`` for which ``where`` holds."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "run_sample_id")
    return (
        f"INSERT INTO refinement_queueentry ({', '.join(_COLUMNS)})\n"
        f"SELECT {_listed(_COLUMNS)}\n{_FROM}\nWHERE {where}\n"
        f"ON CONFLICT (run_sample_id) DO UPDATE SET {changes}"
    )


def say_anew(where: str) -> str:
    """SQL that renews what a decision changes of the entries for which ``where`` holds.

    A third of the work of ``upsert``, and this is what people wait for.
    """
    return (
        f"UPDATE refinement_queueentry SET ({', '.join(_SAID)}) = (\n"
        f"SELECT {_listed(_SAID)}\n{_JUDGED_AND_SAID}\n"
        f"WHERE rs.id = refinement_queueentry.run_sample_id)\nWHERE {where}"
    )


def _listed(columns: dict[str, str]) -> str:
    return ",\n  ".join(columns.values())
