from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement.method.errors import MethodError
from refinement.method.pairs import Choice, PairLosses, Scores, Side, Status, UnscorableReason
from refinement.method.policies import SampleScores, apart, get_policy
from refinement.method.policies.policy import Version
from refinement.method.specs import PolicySpec

PAPER = get_policy(PolicySpec())
OPEN = PolicySpec(require_response_accepted=False, max_ifd=None, max_r_ifd=None)
KEPT_BASE = Choice(Side.ORIGINAL, "ifd_fell", "")
ACCEPTED = Choice(Side.CANDIDATE, "r_ifd_fell", "")


def choose_instruction(original: Scores, candidate: Scores | None) -> Choice:
    return PAPER.choose_instruction(SampleScores(0, original, instruction=candidate))


def choose_response(base: Scores, candidate: Scores | None) -> Choice:
    return PAPER.choose_response(SampleScores(0, base, response=candidate), Version.ORIGINAL)


def scored(ifd: float = 0.8, r_ifd: float = 0.7) -> Scores:
    """Scores of exactly these ratios: exp(log r - 0) is r again for the values used here."""
    losses = PairLosses(0.0, 0.0, math.log(r_ifd), math.log(ifd))
    return Scores(Status.SCORED, losses=losses, instruction_tokens=9, response_tokens=9)


def without_ifd(reason: UnscorableReason = UnscorableReason.TOO_SHORT) -> Scores:
    """Like a response of one token: an r-IFD, but no IFD."""
    losses = PairLosses(instruction=1.0, instruction_given_response=0.5)
    return Scores(Status.UNSCORABLE, reason, losses=losses)


NOTHING = Scores(Status.UNSCORABLE, UnscorableReason.EMPTY)


# -- Instruction: the higher IFD ------------------------------------------------------------------
def test_higher_ifd_wins() -> None:
    choice = choose_instruction(scored(ifd=0.7), scored(ifd=0.82))

    assert (choice.winner, choice.code) == (Side.CANDIDATE, "ifd_rose")
    assert choice.sentence == "kept the rewrite: IFD rose from 0.70 to 0.82"
    assert (choice.before, choice.after) == (pytest.approx(0.7), pytest.approx(0.82))
    assert choice.margin == pytest.approx(0.12)


def test_lower_ifd_loses() -> None:
    choice = choose_instruction(scored(ifd=0.82), scored(ifd=0.7))

    assert (choice.winner, choice.code) == (Side.ORIGINAL, "ifd_fell")
    assert choice.sentence == "kept the original: the rewrite has the lower IFD, 0.70 against 0.82"
    assert choice.margin == pytest.approx(0.12)


def test_ifd_above_one_still_wins_as_in_the_paper() -> None:
    assert choose_instruction(scored(ifd=0.9), scored(ifd=1.2)).winner == Side.CANDIDATE


# -- Response: the lower r-IFD --------------------------------------------------------------------
def test_lower_r_ifd_wins() -> None:
    choice = choose_response(scored(r_ifd=0.7), scored(r_ifd=0.52))

    assert (choice.winner, choice.code) == (Side.CANDIDATE, "r_ifd_fell")
    assert choice.sentence == "kept the rewrite: r-IFD fell from 0.70 to 0.52"
    assert choice.margin == pytest.approx(0.18)


def test_higher_r_ifd_loses() -> None:
    choice = choose_response(scored(r_ifd=0.52), scored(r_ifd=0.7))

    assert (choice.winner, choice.code) == (Side.ORIGINAL, "r_ifd_rose")
    assert choice.sentence == (
        "kept the earlier response: the rewrite has the higher r-IFD, 0.70 against 0.52"
    )


# -- Ties, and differences that two decimals hide -------------------------------------------------
def test_a_tie_keeps_what_was_there() -> None:
    first, second = (
        choose_instruction(scored(), scored()),
        choose_response(scored(), scored()),
    )

    assert (first.winner, first.code, first.margin) == (Side.ORIGINAL, "ifd_tied", 0.0)
    assert first.sentence == "kept the original: the rewrite has the same IFD, 0.80"
    assert (second.winner, second.code) == (Side.ORIGINAL, "r_ifd_tied")


def test_a_small_difference_is_shown_with_the_digits_it_needs() -> None:
    choice = choose_response(scored(r_ifd=0.70012), scored(r_ifd=0.70004))

    assert choice.sentence == "kept the rewrite: r-IFD fell from 0.7001 to 0.7000"


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12))
def test_two_numbers_look_equal_only_if_they_are(first: float, second: float) -> None:
    shown = apart(first, second)

    assert (shown[0] == shown[1]) == (first == second)
    assert all(len(text) < 40 for text in shown)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_sentence_and_winner_agree_with_the_numbers(before: float, after: float) -> None:
    base, candidate = scored(ifd=before, r_ifd=before), scored(ifd=after, r_ifd=after)
    first = choose_instruction(base, candidate)
    second = choose_response(base, candidate)

    assert candidate.ifd is not None
    assert base.ifd is not None
    assert (first.winner == Side.CANDIDATE) == (candidate.ifd > base.ifd)
    assert (second.winner == Side.CANDIDATE) == (candidate.ifd < base.ifd)
    for choice in (first, second):
        assert choice.sentence.startswith("kept the rewrite") == (choice.winner == Side.CANDIDATE)


# -- What could not be scored ---------------------------------------------------------------------
@pytest.mark.parametrize("reason", [r for r in UnscorableReason if r])
def test_an_unscorable_candidate_never_wins(reason: UnscorableReason) -> None:
    candidate = Scores(Status.UNSCORABLE, reason)

    for choice in (
        choose_instruction(scored(ifd=0.01), candidate),
        choose_response(scored(r_ifd=99.0), candidate),
    ):
        assert (choice.winner, choice.code) == (Side.ORIGINAL, "candidate_unscorable")
        assert choice.margin is None
        assert "the rewrite has no" in choice.sentence


def test_the_signal_counts_not_the_status() -> None:
    """A one-token response has no IFD, yet its r-IFD is as good as any."""
    choice = choose_response(scored(r_ifd=0.9), without_ifd())

    assert choice.winner == Side.CANDIDATE
    assert choice.after == pytest.approx(math.exp(-0.5))


def test_a_scored_candidate_beats_what_could_not_be_scored() -> None:
    choice = choose_instruction(NOTHING, scored())

    assert (choice.winner, choice.code) == (Side.CANDIDATE, "original_unscorable")
    assert choice.sentence == (
        "kept the rewrite: what it replaces has no IFD, because one of its texts is empty"
    )
    assert (choice.before, choice.margin) == (None, None)


def test_where_neither_can_be_scored_the_original_stays() -> None:
    choice = choose_instruction(NOTHING, without_ifd())

    assert (choice.winner, choice.code) == (Side.ORIGINAL, "both_unscorable")
    assert choice.sentence == (
        "kept the original: neither it nor the rewrite has an IFD, the latter because one of its "
        "texts is too short to be predicted"
    )


def test_without_a_candidate_the_original_stays() -> None:
    first, second = choose_instruction(scored(), None), choose_response(scored(), None)

    assert (first.winner, first.code) == (Side.ORIGINAL, "no_candidate")
    assert first.sentence == "kept the original: there is no rewrite"
    assert second.sentence == "kept the earlier response: there is no rewrite of it"
    assert first.before == pytest.approx(0.8)


# -- The conclusion -------------------------------------------------------------------------------
def test_a_pair_that_passes_all_filters_is_kept() -> None:
    verdict = PAPER.conclude(KEPT_BASE, ACCEPTED, scored(ifd=0.8, r_ifd=0.52))

    assert (verdict.kept, verdict.code) == (True, "kept")
    assert verdict.sentence == (
        "kept: the rewrite of the response was accepted, IFD 0.80 is below 1.00 and "
        "r-IFD 0.52 is below 1.00"
    )
    assert (verdict.instruction, verdict.response) == (KEPT_BASE, ACCEPTED)


@pytest.mark.parametrize(
    ("response", "final", "code", "sentence"),
    [
        (
            KEPT_BASE,
            scored(ifd=2.0),
            "response_not_accepted",
            "not kept: the rewrite of the response was not accepted",
        ),
        (ACCEPTED, scored(ifd=1.034), "ifd_too_high", "not kept: IFD 1.03 is not below 1.00"),
        (ACCEPTED, scored(ifd=1.0), "ifd_too_high", "not kept: IFD 1.00 is not below 1.00"),
        (ACCEPTED, scored(ifd=1.0002), "ifd_too_high", "not kept: IFD 1.0002 is not below 1.0000"),
        (ACCEPTED, scored(r_ifd=1.5), "r_ifd_too_high", "not kept: r-IFD 1.50 is not below 1.00"),
        (
            ACCEPTED,
            without_ifd(),
            "no_ifd",
            (
                "not kept: the pair has no IFD, because one of its texts is too short to be "
                "predicted, and it has to be below 1"
            ),
        ),
    ],
)
def test_the_first_filter_that_fails_is_named(
    response: Choice, final: Scores, code: str, sentence: str
) -> None:
    verdict = PAPER.conclude(KEPT_BASE, response, final)

    assert (verdict.kept, verdict.code, verdict.sentence) == (False, code, sentence)


def test_a_missing_r_ifd_is_named_where_its_filter_is_on() -> None:
    final = replace(scored(), losses=replace(scored().losses, instruction=None))

    assert PAPER.conclude(KEPT_BASE, ACCEPTED, final).code == "no_r_ifd"
    relaxed = get_policy(PolicySpec(max_r_ifd=None))
    assert relaxed.conclude(KEPT_BASE, ACCEPTED, final).kept


@pytest.mark.parametrize(
    ("spec", "response", "final"),
    [
        (replace(OPEN, max_ifd=1.0, max_r_ifd=1.0), KEPT_BASE, scored()),
        (replace(OPEN, require_response_accepted=True, max_r_ifd=1.0), ACCEPTED, scored(ifd=3.0)),
        (replace(OPEN, require_response_accepted=True, max_ifd=1.0), ACCEPTED, scored(r_ifd=3.0)),
        (OPEN, KEPT_BASE, NOTHING),
    ],
)
def test_each_filter_is_a_switch(spec: PolicySpec, response: Choice, final: Scores) -> None:
    assert get_policy(spec).conclude(KEPT_BASE, response, final).kept


def test_a_policy_without_filters_says_so() -> None:
    verdict = get_policy(OPEN).conclude(KEPT_BASE, KEPT_BASE, NOTHING)

    assert verdict.sentence == "kept: the policy filters nothing"


def test_limits_are_those_of_the_spec() -> None:
    strict = get_policy(PolicySpec(max_ifd=0.75))

    assert strict.conclude(KEPT_BASE, ACCEPTED, scored(ifd=0.8)).sentence == (
        "not kept: IFD 0.80 is not below 0.75"
    )


# -- Asking for a policy --------------------------------------------------------------------------
def test_unknown_policy_is_answered_with_those_there_are() -> None:
    with pytest.raises(MethodError, match=r"There is no policy 'best': choose one of paper, "):
        get_policy(PolicySpec(name="best"))


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_a_limit_that_could_keep_nothing_or_anything_is_refused(limit: float) -> None:
    with pytest.raises(MethodError, match="give a number above 0, or none"):
        get_policy(PolicySpec(max_ifd=limit))
