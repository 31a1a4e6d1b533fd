"""Made-up pairs with plausible scores: what a large synthetic run repeats, in a random order.

The distributions follow what runs over Alpaca data look like: IFD and r-IFD are log-normal, most of
them below 1; rewrites are longer; about two thirds of the responses are accepted and a quarter of
the instructions. Choices are the paper's policy over these very scores, so all of it agrees.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from refinement.method.pairs import PairLosses, Scores, Side, Status, UnscorableReason
from refinement.method.policies import SampleScores, get_policy
from refinement.method.policies.policy import Version
from refinement.method.specs import PolicySpec

if TYPE_CHECKING:
    import random

    from refinement.method.pairs import Choice, Verdict

SENTENCES = Path(__file__).resolve().parents[1] / "demo" / "pairs.jsonl"


@dataclass(frozen=True, slots=True)
class Case:
    """One pair: texts of the original and of two rewrites, their scores, and the verdict."""

    instruction: str
    response: str
    new_instruction: str
    new_response: str
    criticism: str
    original: Scores
    first: Scores  # the instruction's rewrite
    second: Scores  # the response's
    instruction_choice: Choice
    verdict: Verdict

    @property
    def takes_first(self) -> bool:
        return self.instruction_choice.winner == Side.CANDIDATE

    @property
    def takes_second(self) -> bool:
        return self.verdict.response.winner == Side.CANDIDATE


def make_cases(count: int, chance: random.Random) -> list[Case]:
    sentences = _sentences()
    return [_case(chance, sentences) for _ in range(count)]


def _sentences() -> list[str]:
    """Those of the bundled pairs."""
    found: list[str] = []
    for line in SENTENCES.read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        for text in (pair["instruction"], pair["output"]):
            found += [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text) if part.strip()]
    return found


def _case(chance: random.Random, sentences: list[str]) -> Case:
    instruction = _text(chance, sentences, 1.2)
    new_instruction = f"{instruction} {_text(chance, sentences, 1.6)}"
    response, new_response = _text(chance, sentences, 3.0), _text(chance, sentences, 6.0)
    ifd, r_ifd = chance.lognormvariate(-0.45, 0.35), chance.lognormvariate(-0.30, 0.30)
    original = _scores(chance, instruction, response, ifd, r_ifd)
    first_ifd = ifd * chance.lognormvariate(-0.12, 0.18)
    first = _scores(chance, new_instruction, response, first_ifd, r_ifd * 0.97)
    policy = get_policy(PolicySpec())
    sample = SampleScores(key=0, original=original, instruction=first)
    choice = policy.choose_instruction(sample)
    taken = choice.winner == Side.CANDIDATE
    version, base = (Version.INSTRUCTION, first) if taken else (Version.ORIGINAL, original)
    second_r_ifd = (base.r_ifd or r_ifd) * chance.lognormvariate(-0.09, 0.20)
    second_ifd = (base.ifd or ifd) * chance.lognormvariate(0.02, 0.15)
    second = _scores(chance, instruction, new_response, second_ifd, second_r_ifd)
    verdict, _ = policy.judge(replace(sample, response=second, response_of=version))
    criticism = f"The text is short on detail. {chance.choice(sentences)}"
    return Case(
        instruction=instruction,
        response=response,
        new_instruction=new_instruction,
        new_response=new_response,
        criticism=criticism,
        original=original,
        first=first,
        second=second,
        instruction_choice=choice,
        verdict=verdict,
    )


def _text(chance: random.Random, sentences: list[str], mean: float) -> str:
    """About ``mean`` sentences, with the long tail that lengths of texts have."""
    count = max(1, min(40, round(chance.lognormvariate(math.log(mean), 0.6))))
    return " ".join(chance.choices(sentences, k=count))


def _scores(
    chance: random.Random, instruction: str, response: str, ifd: float, r_ifd: float
) -> Scores:
    """Losses from which these two ratios follow; one in a hundred cannot be scored."""
    tokens = (len(instruction) // 4 + 1, len(response) // 4 + 1)
    if chance.random() < 0.004:
        return Scores(
            status=Status.UNSCORABLE,
            reason=UnscorableReason.TRUNCATED,
            instruction_tokens=tokens[0],
            response_tokens=tokens[1],
            truncated=True,
        )
    alone, asked = chance.gauss(2.4, 0.4), chance.gauss(3.2, 0.4)
    return Scores(
        status=Status.SCORED,
        losses=PairLosses(
            instruction=asked,
            response=alone,
            instruction_given_response=asked + math.log(r_ifd),
            response_given_instruction=alone + math.log(ifd),
        ),
        instruction_tokens=tokens[0],
        response_tokens=tokens[1],
        truncated=chance.random() < 0.01,
    )
