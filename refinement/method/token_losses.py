"""The loss of every token of a response, and where in the response that token stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from refinement.method.scoring import LossModel, form_scores, measure, plan_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.pairs import Pair, Scores
    from refinement.method.spans import Span, SpanLoss
    from refinement.method.templates import Template

Offsets = list[tuple[int, int]]


class PlacingModel(LossModel, Protocol):
    """A student whose tokenizer can tell where its tokens stand."""

    def tokenize_with_offsets(self, texts: Sequence[str]) -> list[tuple[list[int], Offsets]]: ...


@dataclass(frozen=True, slots=True)
class TokenLoss:
    """A token's loss in nats, and the characters [start, end) of the response that it covers."""

    start: int
    end: int
    loss: float


@dataclass(frozen=True, slots=True)
class ResponseTokens:
    """The tokens that L(y) and L(y|x) are the means of. Empty where there is no such loss.

    The two may differ in their first token: without a BOS, L(y) cannot predict it, and after a
    prompt the tokenizer may cut the text's beginning otherwise.
    """

    alone: tuple[TokenLoss, ...] = ()
    given_instruction: tuple[TokenLoss, ...] = ()


def score_with_tokens(
    student: PlacingModel, pairs: Sequence[Pair], template: Template
) -> list[tuple[Scores, ResponseTokens]]:
    """As ``score_pairs``, with the single losses of the response's tokens."""
    plans = plan_pairs(student, pairs, template)
    measured = measure(student, plans, per_token=True)
    prompts = [template.prompt(pair) for pair in pairs]
    texts = [pair.response for pair in pairs]
    texts += [prompt + pair.response for prompt, pair in zip(prompts, pairs, strict=True)]
    offsets = [places for _, places in student.tokenize_with_offsets(texts)]
    prefix = 0 if template.brings_special_tokens else len(student.prefix)
    results = []
    for place, (plan, losses) in enumerate(zip(plans, measured, strict=True)):
        _, alone, _, given = losses
        tokens = ResponseTokens(
            alone=_placed(plan.response.span, alone, offsets[place], len(student.prefix), 0),
            given_instruction=_placed(
                plan.response_given_instruction.span,
                given,
                offsets[place + len(pairs)],
                prefix,
                len(prompts[place]),
            ),
        )
        results.append((form_scores(plan, losses), tokens))
    return results


def _placed(
    span: Span | None, loss: SpanLoss | None, offsets: Offsets, prefix: int, prompt_characters: int
) -> tuple[TokenLoss, ...]:
    """The targets of a span in characters after the prompt; none where the loss is not finite."""
    if span is None or loss is None or loss.mean is None:
        return ()
    end = len(span.ids) - prefix
    return tuple(
        TokenLoss(max(0, first - prompt_characters), max(0, last - prompt_characters), value)
        for (first, last), value in zip(offsets[end - span.targets : end], loss.tokens, strict=True)
    )
