"""The numbers that pairs are compared by: each read from the scores of one pair, or of all.

A signal is the same for both readers to the last bit, so that a what-if and the pipeline never
disagree: it is a stored number, or made from stored ones by + - * / alone, which every machine
rounds alike. An exponential is not, so perplexities are compared by their logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from refinement.method.pairs import Scores

    Floats = NDArray[np.float64]


class Column(Protocol):
    """One number of all pairs by its name in ``STORED``; NaN where there is none. Shape: (n,)."""

    def __call__(self, name: str) -> Floats: ...


# What a whole run's columns hold of each pair, as its ``Score`` names them.
STORED = (
    "loss_instruction",
    "loss_response",
    "loss_instruction_given_response",
    "loss_response_given_instruction",
    "ifd",
    "r_ifd",
    "s_ifd",
    "rsr",
    "coherence",
    "instruction_tokens",
    "response_tokens",
)


def _same(value: float) -> float:
    return value


@dataclass(frozen=True, slots=True)
class Signal:
    """A number that two pairs are compared by.

    ``of_pair`` reads it from one pair's scores, ``of_all`` from columns. ``shown`` turns what is
    compared into what people are shown; it keeps or reverses the order, never mixes it.
    """

    name: str
    code: str
    higher_wins: bool
    of_pair: Callable[[Scores], float | None]
    of_all: Callable[[Column], Floats]
    means: str  # what a better value means, for people
    shown: Callable[[float], float] = _same
    falls: bool = False  # ``shown`` reverses the order


def _stored(column: str) -> Callable[[Column], Floats]:
    return lambda read: read(column)


def _loss_of_pair(scores: Scores) -> float | None:
    x, y = scores.losses.instruction, scores.losses.response_given_instruction
    n, m = scores.instruction_tokens, scores.response_tokens
    if x is None or y is None or not n + m:
        return None
    return (n * x + m * y) / (n + m)


def _loss_of_all(read: Column) -> Floats:
    x, y = read("loss_instruction"), read("loss_response_given_instruction")
    n, m = read("instruction_tokens"), read("response_tokens")
    total = n + m
    return (n * x + m * y) / np.where(total == 0, math.nan, total)


def _perplexity(loss: float) -> float:
    return math.exp(min(loss, 700.0))


def _probability(loss: float) -> float:
    return math.exp(-loss)


IFD = Signal(
    name="IFD",
    code="ifd",
    higher_wins=True,
    of_pair=lambda scores: scores.ifd,
    of_all=_stored("ifd"),
    means="more to learn",
)
R_IFD = Signal(
    name="r-IFD",
    code="r_ifd",
    higher_wins=False,
    of_pair=lambda scores: scores.r_ifd,
    of_all=_stored("r_ifd"),
    means="it tells more of its instruction",
)
# exp of the mean loss over all tokens of x, then of y given x: the pair read as one text.
PERPLEXITY = Signal(
    name="perplexity",
    code="perplexity",
    higher_wins=False,
    of_pair=_loss_of_pair,
    of_all=_loss_of_all,
    means="the pair reads more like what the student knows",
    shown=_perplexity,
)
# GRAPE, arXiv 2502.04194: the likelihood of y given x, normalised by its length. Shown as the mean
# probability of a token, exp(-L(y|x)); compared by L(y|x), where lower is likelier.
GRAPE = Signal(
    name="likelihood of the response",
    code="grape",
    higher_wins=False,
    of_pair=lambda scores: scores.losses.response_given_instruction,
    of_all=_stored("loss_response_given_instruction"),
    means="the response is nearer to what the student would say itself",
    shown=_probability,
    falls=True,
)
# T-SHIRT, arXiv 2506.01317: IFD over the response tokens whose loss the instruction changes.
S_IFD = Signal(
    name="S-IFD",
    code="s_ifd",
    higher_wins=True,
    of_pair=lambda scores: scores.s_ifd,
    of_all=_stored("s_ifd"),
    means="more to learn, counted where the instruction matters",
)
# arXiv 2601.14249: mean rank over mean surprisal of the response's tokens. Low: surprising enough
# to teach something, and still among what the student would consider.
RSR = Signal(
    name="rank-surprisal ratio",
    code="rsr",
    higher_wins=False,
    of_pair=lambda scores: scores.rsr,
    of_all=_stored("rsr"),
    means="surprising, yet within the student's reach",
)
# Cosine of the sentence embeddings of instruction and response, under an encoder that is named.
COHERENCE = Signal(
    name="coherence",
    code="coherence",
    higher_wins=True,
    of_pair=lambda scores: scores.coherence,
    of_all=_stored("coherence"),
    means="instruction and response speak of the same",
)
# The tokens of the response: no measure of quality, yet what many selections come down to.
LENGTH = Signal(
    name="length of the response",
    code="length",
    higher_wins=True,
    of_pair=lambda scores: float(scores.response_tokens),
    of_all=_stored("response_tokens"),
    means="a longer response",
)

SIGNALS = {
    signal.code: signal for signal in (IFD, R_IFD, S_IFD, PERPLEXITY, GRAPE, RSR, COHERENCE, LENGTH)
}
