"""Signals that are formed from the losses and ranks of single tokens. Plain arithmetic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refinement.method.token_losses import ResponseTokens

SELECTIVE_THRESHOLD = 0.1  # nats; see selective_ifd
RANK_LIMIT = 100


def loss_changes(tokens: ResponseTokens) -> list[float]:
    """What the instruction does to each token of the response, in nats; below zero it helps.

    delta_t = L(y_t | x, y_<t) - L(y_t | y_<t), over the tokens that both losses have.
    """
    alone, given = tokens.alone, tokens.given_instruction
    both = list(zip(alone, given[len(given) - len(alone) :], strict=False))
    if len(both) == len(alone) and all(one[:2] == other[:2] for one, other in both):
        return [other.loss - one.loss for one, other in both]  # nearly always: all but the first
    return [
        pair.given_instruction - pair.alone
        for pair in tokens.paired()
        if pair.alone is not None and pair.given_instruction is not None
    ]


def selective_ifd(changes: Sequence[float], threshold: float = SELECTIVE_THRESHOLD) -> float | None:
    """S-IFD = exp(mean of delta_t over the tokens with abs(delta_t) > threshold).

    An IFD of only those tokens that the instruction makes likelier or less likely: filler that
    costs the same with and without it no longer pulls the value towards 1. Where no token changes,
    the sum is empty and S-IFD is 1, as in the published code. ``None`` without tokens.

    Source: T-SHIRT, arXiv 2506.01317, and its ``compute_stat.py``. There the threshold is the
    median of abs(delta_t) over the whole dataset, averaged over noisy copies of the embeddings.
    Here it is a constant, without noise: so the value of a pair does not depend on which other
    pairs were scored, and stands while a run still grows. ``quantile_threshold`` gives the paper's
    from stored token losses.
    """
    if not changes:
        return None
    chosen = [change for change in changes if abs(change) > threshold]
    return _exp(math.fsum(chosen) / len(chosen)) if chosen else 1.0


def quantile_threshold(changes: Iterable[float], share: float = 0.5) -> float:
    """The threshold that leaves about ``share`` of all tokens: the paper's, over a dataset.

    Raises ValueError without tokens, or for a share outside (0, 1].
    """
    sizes = sorted(abs(change) for change in changes)
    if not sizes or not 0 < share <= 1:
        raise ValueError("a threshold needs tokens, and a share above 0 up to 1")
    place = (1 - share) * (len(sizes) - 1)  # linear between neighbours, as numpy.percentile
    below = math.floor(place)
    above = min(below + 1, len(sizes) - 1)
    return sizes[below] + (place - below) * (sizes[above] - sizes[below])


def rank_surprisal_ratio(ranks: Sequence[int], losses: Sequence[float]) -> float | None:
    """RSR = sum of min(rank_t, 100) / sum of L(y_t | x, y_<t), over the response's tokens.

    rank_t is 1 for the word that the student holds for the likeliest. The lower, the better: the
    tokens surprise (there is something to learn) and still stand high in the student's own order
    (it can be learned). ``None`` without tokens, or where nothing surprises at all.

    Source: arXiv 2601.14249 (mean rank over mean surprisal; both means are over the same tokens)
    and its published ``rsr_cal.py``, which clips ranks at 100.
    """
    surprisal = math.fsum(losses)
    if not ranks or not math.isfinite(surprisal) or surprisal <= 0:
        return None
    return sum(min(rank, RANK_LIMIT) for rank in ranks) / surprisal


def _exp(value: float) -> float | None:
    return math.exp(value) if value < 700 else None
