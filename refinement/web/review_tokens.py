"""The token view: each token of a response shaded by how much the instruction lowers its loss.

The gain of a token is its loss after the response's own beginning alone, minus its loss when the
instruction is given too, in nats. The mean gain is L(y) - L(y|x), so IFD = exp(-mean gain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.selectors.token_losses import token_losses
from refinement.web.diff import Change, Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from refinement.method.token_losses import PairedLoss
    from refinement.selectors.review import Version

MOST_TOKENS = 700  # a version; the rest is sent on demand, so that the page stays light
# From which gain in nats a step of the shade begins. Below the first it is no help.
STEPS = (0.1, 0.5, 1.0, 2.0, 4.0)
HINDERS = -0.1


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its figures, or (``step`` empty) a text between tokens.

    ``step``: ``n`` where the instruction makes the token less expected, else 0 to 5; ``x`` where
    one of the two losses does not exist.
    """

    text: str
    step: str
    alone: float | None = None
    given: float | None = None

    @property
    def gain(self) -> float | None:
        if self.alone is None or self.given is None:
            return None
        return self.alone - self.given


@dataclass(frozen=True, slots=True)
class TokenText:
    """The response of one version. Empty ``tokens``: no losses of single tokens are stored."""

    version: Version
    tokens: list[Token]
    count: int
    left_out: int
    lacks: bool  # it was scored before the product kept them
    helped: int  # tokens that the instruction helps with
    hindered: int


def token_texts(versions: Iterable[Version], *, full: bool) -> list[TokenText]:
    return [_token_text(version, full=full) for version in versions]


def _token_text(version: Version, *, full: bool) -> TokenText:
    losses = token_losses(version.score) if version.score else []
    shown = losses if full else losses[:MOST_TOKENS]
    steps = [step_of(loss) for loss in losses]
    return TokenText(
        version=version,
        tokens=list(_tokens(version.pair.response, shown, whole=len(shown) == len(losses))),
        count=len(losses),
        left_out=len(losses) - len(shown),
        lacks=bool(version.score and not losses and version.score.status == "scored"),
        helped=sum(step in "12345" for step in steps),
        hindered=steps.count("n"),
    )


def step_of(loss: PairedLoss) -> str:
    if loss.alone is None or loss.given_instruction is None:
        return "x"
    gain = loss.alone - loss.given_instruction
    if gain <= HINDERS:
        return "n"
    return str(sum(gain >= step for step in STEPS))


def _tokens(response: str, losses: list[PairedLoss], *, whole: bool) -> Iterator[Token]:
    """The text in order. Tokens that share characters (bytes of one sign) show none twice."""
    at = 0
    for loss in losses:
        if loss.start > at:
            yield Token(_visible(response[at : loss.start]), "")
        text = response[max(at, loss.start) : loss.end]
        at = max(at, loss.end)
        yield Token(_visible(text), step_of(loss), loss.alone, loss.given_instruction)
    if losses and whole and at < len(response):
        yield Token(_visible(response[at:]), "")


def _visible(text: str) -> str:
    return Segment(Change.EQUAL, text).visible
