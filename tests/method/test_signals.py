from __future__ import annotations

import math

import pytest

from refinement.method.pairs import PairLosses, Scores, Status
from refinement.method.signals import (
    loss_changes,
    quantile_threshold,
    rank_surprisal_ratio,
    selective_ifd,
)
from refinement.method.token_losses import ResponseTokens, TokenLoss


# -- S-IFD ----------------------------------------------------------------------------------------
def test_s_ifd_counts_only_tokens_whose_loss_changes() -> None:
    # Of four tokens two change by more than 0.1 nats: (-1.0 + 0.5) / 2 = -0.25.
    assert selective_ifd([-1.0, 0.05, 0.5, -0.02], 0.1) == pytest.approx(math.exp(-0.25))


def test_without_a_threshold_it_is_the_ifd() -> None:
    # L(y) = (2 + 1) / 2 = 1.5, L(y|x) = (1.2 + 1.4) / 2 = 1.3; IFD = exp(1.3 - 1.5).
    tokens = ResponseTokens(
        alone=(TokenLoss(0, 3, 2.0), TokenLoss(3, 5, 1.0)),
        given_instruction=(TokenLoss(0, 3, 1.2), TokenLoss(3, 5, 1.4)),
    )
    scores = Scores(Status.SCORED, losses=PairLosses(response=1.5, response_given_instruction=1.3))

    assert loss_changes(tokens) == pytest.approx([-0.8, 0.4])
    assert selective_ifd(loss_changes(tokens), 0.0) == pytest.approx(scores.ifd)
    assert scores.ifd == pytest.approx(math.exp(-0.2))


def test_where_no_token_changes_s_ifd_is_one() -> None:
    # Each change is exactly at the threshold, and only what is above it counts.
    assert selective_ifd([0.1, -0.1], 0.1) == 1.0
    assert selective_ifd([]) is None


def test_a_token_that_only_one_tokenisation_has_changes_nothing() -> None:
    tokens = ResponseTokens(
        alone=(TokenLoss(2, 4, 1.0),),
        given_instruction=(TokenLoss(0, 2, 9.0), TokenLoss(2, 4, 0.25)),
    )

    assert loss_changes(tokens) == [-0.75]


def test_the_papers_threshold_is_a_quantile_of_all_changes() -> None:
    # Sizes 0.1 0.2 0.3 0.4: the median lies half-way between the middle two.
    assert quantile_threshold([0.4, -0.1, 0.3, -0.2]) == pytest.approx(0.25)
    assert quantile_threshold([0.4, -0.1, 0.3, -0.2], share=1.0) == pytest.approx(0.1)
    for changes, share in (([], 0.5), ([1.0], 0.0), ([1.0], 1.5)):
        with pytest.raises(ValueError, match="a threshold needs"):
            quantile_threshold(changes, share)


# -- RSR ------------------------------------------------------------------------------------------
def test_rsr_is_mean_rank_over_mean_surprisal_with_ranks_clipped() -> None:
    # Ranks 1, 3 and 500, which counts as 100: mean 104/3. Losses: mean 4/3. Ratio 104/4 = 26.
    assert rank_surprisal_ratio([1, 3, 500], [0.5, 1.0, 2.5]) == pytest.approx(26.0)


@pytest.mark.parametrize(
    ("ranks", "losses"), [([], []), ([1, 1], [0.0, 0.0]), ([1], [math.nan]), ([1], [math.inf])]
)
def test_without_surprise_there_is_no_rsr(ranks: list[int], losses: list[float]) -> None:
    assert rank_surprisal_ratio(ranks, losses) is None


# -- GRAPE and perplexity -------------------------------------------------------------------------
def test_grape_is_the_geometric_mean_of_the_tokens_probabilities() -> None:
    # Two tokens of probability 1/2 and 1/8: the root of 1/16.
    loss = (math.log(2) + math.log(8)) / 2
    scores = Scores(Status.SCORED, losses=PairLosses(response_given_instruction=loss))

    assert scores.grape == pytest.approx(0.25)
    assert scores.perplexity == pytest.approx(4.0)
    nothing = Scores(Status.UNSCORABLE)
    assert (nothing.grape, nothing.perplexity) == (None, None)
