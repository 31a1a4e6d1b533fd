"""The loss of every token of a response, and where in the response that token stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.planning import PairPlan, Planned
    from refinement.method.spans import SpanLoss


class TokenLoss(NamedTuple):
    """A token's loss in nats, and the characters [start, end) of the response that it covers."""

    start: int
    end: int
    loss: float


class PairedLoss(NamedTuple):
    """Both losses of one token; ``None`` where only the other tokenisation has a token there."""

    start: int
    end: int
    alone: float | None
    given_instruction: float | None


@dataclass(frozen=True, slots=True)
class ResponseTokens:
    """The tokens that L(y) and L(y|x) are the means of. Empty where there is no such loss.

    The two may differ in their first token: without a BOS, L(y) cannot predict it, and after a
    prompt the tokenizer may cut the text's beginning otherwise.
    """

    alone: tuple[TokenLoss, ...] = ()
    given_instruction: tuple[TokenLoss, ...] = ()

    def paired(self) -> list[PairedLoss]:
        """In the order of the text, the two losses of each token side by side.

        A token is the same in both where it covers the same characters. Where several tokens share
        a character (the bytes of an emoji), the first of one goes with the first of the other.
        """
        waiting: dict[tuple[int, int], list[float]] = {}
        for token in reversed(self.alone):
            waiting.setdefault((token.start, token.end), []).append(token.loss)
        pairs = []
        for token in self.given_instruction:
            found = waiting.get((token.start, token.end))
            alone = found.pop() if found else None
            pairs.append(PairedLoss(token.start, token.end, alone, token.loss))
        for (start, end), losses in waiting.items():
            pairs += [PairedLoss(start, end, loss, None) for loss in reversed(losses)]
        return sorted(pairs, key=lambda pair: (pair.start, pair.end))


def response_tokens(plan: PairPlan, losses: Sequence[SpanLoss | None]) -> ResponseTokens:
    """The response's tokens from the four measured losses of a plan."""
    _, alone, _, given = losses
    return ResponseTokens(
        alone=_placed(plan.response, alone),
        given_instruction=_placed(plan.response_given_instruction, given),
    )


def _placed(planned: Planned, loss: SpanLoss | None) -> tuple[TokenLoss, ...]:
    """None where the tokenizer cannot place tokens, or the loss is not finite."""
    if loss is None or loss.mean is None or not planned.places:
        return ()
    together = zip(planned.places, loss.tokens, strict=True)
    return tuple([TokenLoss(start, end, value) for (start, end), value in together])
