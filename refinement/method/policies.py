"""Who wins and why: from scores to verdicts, in numbers and in words. Pure functions.

A further policy is a class with the methods of ``Policy``, added to ``POLICIES``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from refinement.method.errors import MethodError
from refinement.method.pairs import Choice, Scores, Side, UnscorableReason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refinement.method.specs import PolicySpec

WHY_NO_SIGNAL = {
    UnscorableReason.EMPTY: "one of its texts is empty",
    UnscorableReason.TOO_SHORT: "one of its texts is too short to be predicted",
    UnscorableReason.TRUNCATED: "its prompt fills the student's context",
    UnscorableReason.NON_FINITE: "the student answered with no finite number",
    UnscorableReason.NONE: "its losses lie too far apart",  # beyond what exp() can say
}


class Policy(Protocol):
    """Two choices and a conclusion, as in arXiv 2402.10110, section 3."""

    def choose_instruction(self, original: Scores, candidate: Scores | None) -> Choice:
        """Between a pair and its instruction rewrite; no candidate: the teacher gave none."""

    def choose_response(self, base: Scores, candidate: Scores | None) -> Choice:
        """Between the pair chosen so far and its response rewrite."""

    def conclude(self, instruction: Choice, response: Choice, final: Scores) -> Verdict:
        """Whether the pair that both choices led to, scored ``final``, is exported."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A number that two pairs are compared by. ``kept`` is what stays when the rewrite loses."""

    name: str
    code: str
    higher_wins: bool
    read: Callable[[Scores], float | None]
    kept: str


IFD = Signal("IFD", "ifd", True, lambda scores: scores.ifd, "the original")
R_IFD = Signal("r-IFD", "r_ifd", False, lambda scores: scores.r_ifd, "the earlier response")


class PaperPolicy:
    """The paper's: the higher IFD, then the lower r-IFD; ties keep what was there.

    Three filters, each a switch: the response rewrite was accepted, IFD and r-IFD are below a
    limit (1 in the published code).
    """

    def __init__(self, spec: PolicySpec) -> None:
        for name, limit in (("max_ifd", spec.max_ifd), ("max_r_ifd", spec.max_r_ifd)):
            if limit is not None and not (math.isfinite(limit) and limit > 0):
                raise MethodError(
                    f"The policy's {name} is {limit}: give a number above 0, or none."
                )
        self._spec = spec

    def choose_instruction(self, original: Scores, candidate: Scores | None) -> Choice:
        return choose(IFD, original, candidate)

    def choose_response(self, base: Scores, candidate: Scores | None) -> Choice:
        return choose(R_IFD, base, candidate)

    def conclude(self, instruction: Choice, response: Choice, final: Scores) -> Verdict:
        passed: list[str] = []
        for code, fine, sentence in self._filters(response, final):
            if not fine:
                return Verdict(instruction, response, False, code, f"not kept: {sentence}")
            passed.append(sentence)
        sentence = join(passed) or "the policy filters nothing"
        return Verdict(instruction, response, True, "kept", f"kept: {sentence}")

    def _filters(self, response: Choice, final: Scores) -> Iterator[tuple[str, bool, str]]:
        """Each active filter: the code of its failure, whether it passes, and that in words."""
        if self._spec.require_response_accepted:
            accepted = response.winner == Side.CANDIDATE
            words = "was accepted" if accepted else "was not accepted"
            yield "response_not_accepted", accepted, f"the rewrite of the response {words}"
        if self._spec.max_ifd is not None:
            yield below(IFD, final, self._spec.max_ifd)
        if self._spec.max_r_ifd is not None:
            yield below(R_IFD, final, self._spec.max_r_ifd)


POLICIES: dict[str, Callable[[PolicySpec], Policy]] = {"paper": PaperPolicy}


def get_policy(spec: PolicySpec) -> Policy:
    """The policy of that name, with the spec's switches. Raises MethodError."""
    if spec.name not in POLICIES:
        known = ", ".join(POLICIES)
        raise MethodError(f"There is no policy '{spec.name}': choose one of {known}.")
    return POLICIES[spec.name](spec)


def choose(signal: Signal, base: Scores, candidate: Scores | None) -> Choice:
    """The better of two by one signal. A candidate without that signal never wins."""
    before = signal.read(base)
    if candidate is None:
        sentence = f"kept {signal.kept}: there is no rewrite"
        return Choice(Side.ORIGINAL, "no_candidate", sentence, before=before)
    after = signal.read(candidate)
    if before is None or after is None:
        return _choose_unscored(signal, base, candidate)
    wins = after > before if signal.higher_wins else after < before
    return Choice(
        winner=Side.CANDIDATE if wins else Side.ORIGINAL,
        code=f"{signal.code}_{_moved(before, after)}",
        sentence=_compared(signal, before, after, wins=wins),
        before=before,
        after=after,
        margin=abs(after - before),
    )


def below(signal: Signal, scores: Scores, limit: float) -> tuple[str, bool, str]:
    """A filter on one signal: the code of its failure, whether it passes, and that in words."""
    value = signal.read(scores)
    if value is None:
        why = WHY_NO_SIGNAL[scores.reason]
        sentence = f"the pair has no {signal.name}, because {why}, and it has to be below {limit:g}"
        return f"no_{signal.code}", False, sentence
    shown, limit_shown = apart(value, limit)
    words = "below" if value < limit else "not below"
    sentence = f"{signal.name} {shown} is {words} {limit_shown}"
    return f"{signal.code}_too_high", value < limit, sentence


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


def _moved(before: float, after: float) -> str:
    if after == before:
        return "tied"
    return "rose" if after > before else "fell"


def _compared(signal: Signal, before: float, after: float, *, wins: bool) -> str:
    first, second = apart(before, after)
    if wins:
        return f"kept the rewrite: {signal.name} {_moved(before, after)} from {first} to {second}"
    if before == after:
        return f"kept {signal.kept}: the rewrite has the same {signal.name}, {first}"
    side = "lower" if signal.higher_wins else "higher"
    return f"kept {signal.kept}: the rewrite has the {side} {signal.name}, {second} against {first}"


def _choose_unscored(signal: Signal, base: Scores, candidate: Scores) -> Choice:
    before, after = signal.read(base), signal.read(candidate)
    if after is not None:
        winner, code, kept = Side.CANDIDATE, "original_unscorable", "the rewrite"
        words = f"what it replaces has no {signal.name}, because {WHY_NO_SIGNAL[base.reason]}"
    else:
        winner, kept, why = Side.ORIGINAL, signal.kept, WHY_NO_SIGNAL[candidate.reason]
        code = "candidate_unscorable" if before is not None else "both_unscorable"
        words = f"the rewrite has no {signal.name}, because {why}"
        if before is None:
            words = f"neither it nor the rewrite has an {signal.name}, the latter because {why}"
    return Choice(winner, code, f"kept {kept}: {words}", before=before, after=after)
