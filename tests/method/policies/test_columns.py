"""A whole run at once gives what sample by sample gives, to the last verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinement.method.pairs import PairLosses, Scores, Side, Status, UnscorableReason
from refinement.method.policies import POLICIES, SampleScores, get_policy
from refinement.method.policies.columns import CODES, Columns, evaluate
from refinement.method.policies.policy import Version
from refinement.method.policies.signals import STORED
from refinement.method.specs import PolicySpec

# Few values, so that ties and missing numbers are common.
LOSS = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.5, 700.0]), st.floats(0, 12))
TOKENS = st.integers(0, 40)


@st.composite
def scores(draw: st.DrawFn) -> Scores:
    losses = PairLosses(*(draw(LOSS) for _ in range(4)))
    whole = None not in (losses.instruction, losses.response)
    return Scores(
        Status.SCORED if whole else Status.UNSCORABLE,
        UnscorableReason.NONE if whole else UnscorableReason.TOO_SHORT,
        losses=losses,
        instruction_tokens=draw(TOKENS),
        response_tokens=draw(TOKENS),
        coherence=draw(st.one_of(st.none(), st.floats(-1, 1))),
        **{name: draw(LOSS) for name in FURTHER},
    )


FURTHER = tuple(n for n in STORED if n in {"s_ifd", "rsr"})
SAMPLES = st.builds(
    SampleScores,
    key=st.integers(0, 2**40),
    original=scores(),
    instruction=st.one_of(st.none(), scores()),
    response=st.one_of(st.none(), scores()),
    response_of=st.sampled_from([Version.ORIGINAL, Version.INSTRUCTION]),
)
LIMIT = st.one_of(st.none(), st.floats(0.01, 3))


@st.composite
def specs(draw: st.DrawFn) -> PolicySpec:
    name = draw(st.sampled_from(sorted(POLICIES)))
    return PolicySpec(
        name=name,
        require_response_accepted=draw(st.booleans()) and POLICIES[name].takes_responses,
        max_ifd=draw(LIMIT),
        max_r_ifd=draw(LIMIT),
        seed=draw(st.integers(0, 2**63 - 1)),
        encoder="encoder",
    )


@dataclass
class Stored:
    """What a column of the database holds of one pair."""

    scores: Scores | None

    def __getitem__(self, name: str) -> float:
        if self.scores is None:
            return math.nan
        place = self.scores.losses if name.startswith("loss_") else self.scores
        value = getattr(place, name.removeprefix("loss_"))
        return math.nan if value is None else float(value)


def columns(samples: list[SampleScores]) -> Columns:
    def version(which: list[Scores | None]) -> dict[str, np.ndarray]:
        return {n: np.array([Stored(s)[n] for s in which], dtype=np.float64) for n in STORED}

    return Columns(
        keys=np.array([s.key for s in samples], dtype=np.uint64),
        versions=(
            version([s.original for s in samples]),
            version([s.instruction for s in samples]),
            version([s.response for s in samples]),
        ),
        has_instruction=np.array([s.instruction is not None for s in samples], dtype=np.bool_),
        has_response=np.array([s.response is not None for s in samples], dtype=np.bool_),
        response_of_instruction=np.array(
            [s.response_of == Version.INSTRUCTION for s in samples], dtype=np.bool_
        ),
    )


@settings(max_examples=150)
@given(specs(), st.lists(SAMPLES, max_size=8))
def test_both_ways_agree(spec: PolicySpec, samples: list[SampleScores]) -> None:
    policy = get_policy(spec)
    outcome = evaluate(policy, columns(samples))
    for row, sample in enumerate(samples):
        verdict, version = policy.judge(sample)
        assert outcome.took_instruction[row] == (verdict.instruction.winner == Side.CANDIDATE)
        assert outcome.took_response[row] == (verdict.response.winner == Side.CANDIDATE)
        assert list(Version)[outcome.version[row]] == version
        assert CODES[outcome.code[row]] == verdict.code
        assert outcome.kept[row] == verdict.kept


@settings(max_examples=30)
@given(SAMPLES)
def test_a_choice_is_always_said_in_words_that_fit_the_database(sample: SampleScores) -> None:
    for name, recipe in POLICIES.items():
        spec = PolicySpec(
            name=name, require_response_accepted=recipe.takes_responses, encoder="encoder"
        )
        verdict, _ = get_policy(spec).judge(sample)
        for choice in (verdict.instruction, verdict.response):
            assert choice.sentence.startswith(
                "kept the rewrite" if choice.winner == Side.CANDIDATE else "kept the "
            )
            assert len(choice.sentence) <= 300
            assert len(choice.code) <= 40


def scored(x: float, y: float, x_y: float, y_x: float, n: int = 4, m: int = 6) -> Scores:
    return Scores(Status.SCORED, UnscorableReason.NONE, PairLosses(x, y, x_y, y_x), n, m)


# L(x), L(y), L(x|y'), L(y|x): the rewrite has the higher IFD, the higher r-IFD, the lower
# perplexity (its instruction is easy) and the higher loss of the response.
BASE = scored(4.0, 2.0, 2.0, 1.0)
OTHER = scored(1.0, 2.0, 0.9, 1.5)


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("paper", True),
        ("ifd_only", True),
        ("r_ifd_only", False),
        ("perplexity", True),
        ("grape", False),
        ("always_instruction", True),
        ("always_response", False),
        ("select_response", False),
    ],
)
def test_each_policy_chooses_by_its_own_measure(name: str, takes: bool) -> None:
    spec = PolicySpec(name=name, require_response_accepted=False)
    choice = get_policy(spec).choose_instruction(SampleScores(0, BASE, OTHER))
    assert (choice.winner == Side.CANDIDATE) == takes


def test_perplexity_is_of_the_whole_text_and_told_as_such() -> None:
    """exp((4 * 4 + 6 * 1) / 10) = exp(2.2) = 9.03 against exp((4 * 1 + 6 * 1.5) / 10) = 3.67."""
    policy = get_policy(PolicySpec(name="perplexity"))
    choice = policy.choose_instruction(SampleScores(0, BASE, OTHER))
    assert choice.sentence == "kept the rewrite: perplexity fell from 9.03 to 3.67"


def test_grape_tells_the_mean_probability_of_a_token() -> None:
    choice = get_policy(PolicySpec(name="grape")).choose_instruction(SampleScores(0, BASE, OTHER))
    assert (choice.code, choice.winner) == ("grape_fell", Side.ORIGINAL)
    assert choice.sentence == (
        "kept the original: the rewrite has the lower likelihood of the response, 0.22 against 0.37"
    )


def test_chance_is_fair_and_can_be_repeated() -> None:
    samples = [SampleScores(n, BASE, OTHER) for n in range(2000)]
    spec = PolicySpec(name="random", seed=7)
    first, again = (evaluate(get_policy(spec), columns(samples)) for _ in range(2))
    other = evaluate(get_policy(replace(spec, seed=8)), columns(samples))
    assert (first.took_instruction == again.took_instruction).all()
    assert 900 < first.took_instruction.sum() < 1100
    assert 900 < (first.took_instruction != other.took_instruction).sum() < 1100


def test_both_phases_of_a_sample_are_tossed_apart() -> None:
    samples = [SampleScores(n, BASE, OTHER, OTHER, Version.ORIGINAL) for n in range(2000)]
    outcome = evaluate(get_policy(PolicySpec(name="random")), columns(samples))
    stayed = ~outcome.took_instruction
    assert 0.4 < outcome.took_response[stayed].mean() < 0.6


def test_a_response_written_for_the_other_instruction_is_not_taken() -> None:
    sample = SampleScores(0, BASE, OTHER, OTHER, response_of=Version.INSTRUCTION)
    spec = PolicySpec(name="always_response", require_response_accepted=False)
    verdict, version = get_policy(spec).judge(sample)
    assert version == Version.ORIGINAL
    assert verdict.response.sentence == "kept the earlier response: there is no rewrite of it"
    assert evaluate(get_policy(spec), columns([sample])).missing.tolist() == [True]
