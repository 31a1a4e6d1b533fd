"""The method's verdicts written into rows: the same whoever judges, the pipeline or a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.method.policies.policy import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refinement.method.pairs import Choice
    from refinement.method.pairs import Verdict as Judgement
    from refinement.method.policies.policy import Policy
    from refinement.models import Candidate, Verdict

_PARTS = ("winner", "code", "sentence", "before", "after", "margin")
FIRST = tuple(f"instruction_{part}" for part in _PARTS)
SECOND = tuple(f"response_{part}" for part in _PARTS)
STAMP = ("policy", "policy_version")
WRITTEN = (*STAMP, *FIRST, *SECOND, "chosen", "kept", "code", "sentence")


def begin(verdict: Verdict, policy: Policy, version: int, choice: Choice) -> Verdict:
    """The student's choice of the instruction; the rest is to come."""
    verdict.policy, verdict.policy_version = policy.spec.name, version
    _write(verdict, "instruction", choice)
    return verdict


def complete(
    verdict: Verdict,
    policy: Policy,
    version: int,
    judged: tuple[Judgement, Version],
    candidates: Mapping[str, Candidate],
) -> Verdict:
    """Both choices and the conclusion. ``candidates`` are the sample's rewrites by kind."""
    judgement, chosen = judged
    begin(verdict, policy, version, judgement.instruction)
    _write(verdict, "response", judgement.response)
    verdict.chosen_id = None if chosen == Version.ORIGINAL else candidates[chosen.value].pk
    verdict.kept = judgement.kept
    verdict.code = judgement.code
    verdict.sentence = judgement.sentence
    return verdict


def _write(verdict: Verdict, phase: str, choice: Choice) -> None:
    for part in _PARTS:
        value = getattr(choice, part)
        setattr(verdict, f"{phase}_{part}", value.value if part == "winner" else value)
