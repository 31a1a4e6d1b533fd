"""The values the method speaks in. Frozen, and free of storage and of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a chat, or a system prompt."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Pair:
    """What the student would learn from: an instruction (with an optional input) and a response."""

    instruction: str
    response: str
    input: str = ""
    context: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class TeacherReply:
    """One answer of a teacher, as it came."""

    text: str
    finish_reason: str
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Reflection:
    """A teacher's criticism and the pair it wrote from it."""

    criticism: str
    pair: Pair


class Status(StrEnum):
    SCORED = "scored"
    UNSCORABLE = "unscorable"


class UnscorableReason(StrEnum):
    NONE = ""
    EMPTY = "empty"  # a text without tokens
    TOO_SHORT = "too_short"  # a text with no token that has a predecessor
    TRUNCATED = "truncated"  # the prompt fills the context, no target is left
    NON_FINITE = "non_finite"  # the student returned NaN or infinity


@dataclass(frozen=True, slots=True)
class PairLosses:
    """The four mean losses of a pair, in nats per target token. ``None``: not defined.

    With x the instruction and its input, y the response, y' the guess prompt around y:
    L(x), L(y), L(x|y') and L(y|x). Source: arXiv 2402.10110, section 3.
    """

    instruction: float | None = None
    response: float | None = None
    instruction_given_response: float | None = None
    response_given_instruction: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What the student says of one pair under one template.

    ``status`` is ``scored`` when all four losses exist; else ``unscorable`` with a ``reason``. A
    signal that can still be formed is given all the same: a one-token response has no IFD, but has
    an r-IFD.

    ``s_ifd`` and ``rsr`` need the losses and ranks of single tokens: ``method/signals.py``.
    ``straddled``: a token stands across the border of a prompt and its target, and counts for the
    prompt.
    """

    status: Status
    reason: UnscorableReason = UnscorableReason.NONE
    losses: PairLosses = field(default_factory=PairLosses)
    instruction_tokens: int = 0
    response_tokens: int = 0
    truncated: bool = False
    straddled: bool = False
    s_ifd: float | None = None
    rsr: float | None = None
    coherence: float | None = None  # cosine of both halves' sentence embeddings, if asked for

    @property
    def ifd(self) -> float | None:
        """IFD(y|x) = exp(L(y|x) - L(y)); above 1 the instruction does not help (2308.12032)."""
        return _ratio(self.losses.response_given_instruction, self.losses.response)

    @property
    def r_ifd(self) -> float | None:
        """r-IFD(x|y) = exp(L(x|y') - L(x)); lower: the response tells more of its instruction."""
        return _ratio(self.losses.instruction_given_response, self.losses.instruction)

    @property
    def perplexity(self) -> float | None:
        """exp(L(y|x)): of the response after its instruction."""
        loss = self.losses.response_given_instruction
        return math.exp(loss) if loss is not None and loss < 700 else None

    @property
    def grape(self) -> float | None:
        """exp(-L(y|x)): the response's probability, the geometric mean over its tokens.

        The higher, the closer the response is to what the student would say itself. Source: GRAPE,
        arXiv 2502.04194, which keeps the response with the highest normalised probability.
        """
        loss = self.losses.response_given_instruction
        return None if loss is None else math.exp(-loss)


def _ratio(conditional: float | None, alone: float | None) -> float | None:
    """Perplexity ratio from a loss difference, so that it cannot overflow before it must."""
    if conditional is None or alone is None:
        return None
    difference = conditional - alone
    return math.exp(difference) if difference < 700 else None


class Side(StrEnum):
    """Who won a comparison."""

    ORIGINAL = "original"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Choice:
    """The student's choice between two pairs by one signal.

    ``margin`` is how much better the winner is, in the signal's unit; ``None`` where one of the two
    could not be scored. ``sentence`` says it in words: "kept the rewrite: r-IFD fell from 0.70 to
    0.52".
    """

    winner: Side
    code: str
    sentence: str
    before: float | None = None
    after: float | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The student's judgement of a whole sample: two choices, and whether the pair is exported."""

    instruction: Choice
    response: Choice
    kept: bool
    code: str
    sentence: str
