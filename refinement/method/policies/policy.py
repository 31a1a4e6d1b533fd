"""A policy for one sample: two choices and a conclusion, in numbers and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from refinement.method.errors import PolicyError
from refinement.method.pairs import Choice, Scores, Side, Verdict
from refinement.method.policies.catalogue import POLICIES
from refinement.method.policies.rules import Contest
from refinement.method.policies.signals import IFD, R_IFD, SIGNALS, Signal
from refinement.method.policies.words import WHY_NO_SIGNAL, apart, join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.method.specs import PolicySpec

LARGEST_SEED = 2**63 - 1


class Version(StrEnum):
    """A text of a sample: as it came, or one of the two rewrites."""

    ORIGINAL = "original"
    INSTRUCTION = "instruction"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class SampleScores:
    """All that a policy looks at. ``key`` tells the samples of a run apart (their position).

    ``response_of`` is the version whose response the teacher rewrote last: a policy that chooses
    the other instruction has no rewrite of *its* response.
    """

    key: int
    original: Scores
    instruction: Scores | None = None
    response: Scores | None = None
    response_of: Version = Version.ORIGINAL

    def of(self, version: Version) -> Scores:
        scores: Scores | None = getattr(self, version.value)
        if scores is None:
            raise ValueError(f"sample {self.key} has no scores of its {version} rewrite")
        return scores


class Policy:
    """Both choices and the filters, as in arXiv 2402.10110, section 3.

    Three filters, each a switch: the response rewrite was accepted, IFD and r-IFD of the pair are
    below a limit (1 in the published code).
    """

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec
        self.recipe = POLICIES[spec.name]
        self.rules = self.recipe.rules(spec)

    def choose_instruction(self, sample: SampleScores) -> Choice:
        """Between a pair and its instruction rewrite."""
        contest = Contest(sample.key, 1, sample.original, sample.instruction)
        return self.rules[0].choose(contest)

    def choose_response(self, sample: SampleScores, base: Version) -> Choice:
        """Between the pair chosen so far and the rewrite of its response, if it has one."""
        rewrite = sample.response if sample.response_of == base else None
        return self.rules[1].choose(Contest(sample.key, 2, sample.of(base), rewrite))

    def judge(self, sample: SampleScores) -> tuple[Verdict, Version]:
        """Both choices and the conclusion, and the version that they lead to."""
        first = self.choose_instruction(sample)
        taken = first.winner == Side.CANDIDATE
        version = Version.INSTRUCTION if taken else Version.ORIGINAL
        second = self.choose_response(sample, version)
        if second.winner == Side.CANDIDATE:
            version = Version.RESPONSE
        return self.conclude(first, second, sample.of(version)), version

    def conclude(self, instruction: Choice, response: Choice, final: Scores) -> Verdict:
        """Whether the pair that both choices led to, scored ``final``, is exported."""
        passed: list[str] = []
        for code, fine, sentence in self._filters(response, final):
            if not fine:
                return Verdict(instruction, response, False, code, f"not kept: {sentence}")
            passed.append(sentence)
        sentence = join(passed) or "the policy filters nothing"
        return Verdict(instruction, response, True, "kept", f"kept: {sentence}")

    def _filters(self, response: Choice, final: Scores) -> Iterator[tuple[str, bool, str]]:
        """Each active filter: the code of its failure, whether it passes, and that in words."""
        if self.spec.require_response_accepted:
            accepted = response.winner == Side.CANDIDATE
            words = "was accepted" if accepted else "was not accepted"
            yield "response_not_accepted", accepted, f"the rewrite of the response {words}"
        if self.spec.max_ifd is not None:
            yield below(IFD, final, self.spec.max_ifd)
        if self.spec.max_r_ifd is not None:
            yield below(R_IFD, final, self.spec.max_r_ifd)


def get_policy(spec: PolicySpec) -> Policy:
    """The policy of that name, with the spec's switches. Raises PolicyError."""
    if spec.name not in POLICIES:
        raise PolicyError(
            "There is no policy '%(name)s': choose one of %(known)s.",
            name=spec.name,
            known=", ".join(POLICIES),
        )
    _check_limits(spec)
    _check_cut(spec)
    if spec.require_response_accepted and not POLICIES[spec.name].takes_responses:
        raise PolicyError(
            "The policy '%(name)s' takes no rewritten response, so keeping only pairs whose "
            "rewritten response was accepted would keep nothing: switch that filter off.",
            field="require_response_accepted",
            name=spec.name,
        )
    if spec.needs_encoder and not spec.encoder:
        raise PolicyError(
            "Coherence and diversity are measured by sentence embeddings: name the folder of an "
            "encoder model.",
            field="encoder",
        )
    return Policy(spec)


def _check_limits(spec: PolicySpec) -> None:
    for name, limit in (("max_ifd", spec.max_ifd), ("max_r_ifd", spec.max_r_ifd)):
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise PolicyError(
                "The policy's %(name)s is %(limit)s: give a number above 0, or none.",
                field=name,
                name=name,
                limit=limit,
            )
    if not 0 <= spec.seed <= LARGEST_SEED:
        raise PolicyError(
            "The seed is %(seed)s: give a whole number from 0 to %(largest)s.",
            field="seed",
            seed=spec.seed,
            largest=LARGEST_SEED,
        )


def _check_cut(spec: PolicySpec) -> None:
    if spec.top_count is not None and spec.top_percent is not None:
        raise PolicyError("Keep the best by number or by percentage, not by both.")
    if spec.top_count is not None and spec.top_count < 1:
        raise PolicyError("To keep the best, give a number of pairs from 1 up.", field="top_count")
    if spec.top_percent is not None and not 0 < spec.top_percent <= 100:
        raise PolicyError(
            "To keep the best, give a percentage above 0 and up to 100.", field="top_percent"
        )
    if spec.has_cut and spec.top_by not in SIGNALS:
        raise PolicyError(
            "The best by what? There is no signal '%(name)s': one of %(known)s.",
            field="top_by",
            name=spec.top_by,
            known=", ".join(SIGNALS),
        )
    if spec.diverse and not spec.has_cut:
        raise PolicyError("Diversity is about which few to keep: say how many.", field="diverse")


def below(signal: Signal, scores: Scores, limit: float) -> tuple[str, bool, str]:
    """A filter on one signal: the code of its failure, whether it passes, and that in words."""
    value = signal.of_pair(scores)
    if value is None:
        why = WHY_NO_SIGNAL[scores.reason]
        sentence = f"the pair has no {signal.name}, because {why}, and it has to be below {limit:g}"
        return f"no_{signal.code}", False, sentence
    shown, limit_shown = apart(value, limit)
    words = "below" if value < limit else "not below"
    sentence = f"{signal.name} {shown} is {words} {limit_shown}"
    return f"{signal.code}_too_high", value < limit, sentence
