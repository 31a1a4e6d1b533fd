"""Scores of pairs from a student's token losses: every signal from one set of passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from refinement.method.pairs import PairLosses, Scores, Status, UnscorableReason
from refinement.method.planning import Encoder, PairPlan, plan_pairs
from refinement.method.signals import loss_changes, rank_surprisal_ratio, selective_ifd
from refinement.method.token_losses import ResponseTokens, response_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.pairs import Pair
    from refinement.method.spans import LossCache, Span, SpanLoss
    from refinement.method.templates import Template

# The order in which a reason is named where several losses are missing.
REASONS = (
    UnscorableReason.EMPTY,
    UnscorableReason.TOO_SHORT,
    UnscorableReason.TRUNCATED,
    UnscorableReason.NON_FINITE,
)


class LossModel(Encoder, Protocol):
    """The part of a Student that scoring uses."""

    cache: LossCache

    def span_losses(self, spans: Sequence[Span]) -> list[SpanLoss]: ...


def score_pairs(student: LossModel, pairs: Sequence[Pair], template: Template) -> list[Scores]:
    """Scores of each pair, in order. A pair that cannot be scored says so, and breaks nothing.

    Equal spans are asked for once; L(x) and L(y), which the variants of a sample share, are also
    remembered between calls.
    """
    return [scores for scores, _ in score_with_tokens(student, pairs, template)]


def score_with_tokens(
    student: LossModel, pairs: Sequence[Pair], template: Template
) -> list[tuple[Scores, ResponseTokens]]:
    """As ``score_pairs``, with the losses of the response's single tokens."""
    return score_plans(student, plan_pairs(student, pairs, template))


def score_plans(
    student: LossModel, plans: Sequence[PairPlan]
) -> list[tuple[Scores, ResponseTokens]]:
    """The same, of pairs that are planned already."""
    measured = measure(student, plans)
    results = []
    for plan, losses in zip(plans, measured, strict=True):
        tokens = response_tokens(plan, losses)
        results.append((form_scores(plan, losses, tokens), tokens))
    return results


def measure(student: LossModel, plans: Sequence[PairPlan]) -> list[tuple[SpanLoss | None, ...]]:
    """The four losses of each plan, in the order of its spans; ``None`` where there is no span."""
    spans = [planned.span for plan in plans for planned in plan.spans]
    keys = [span.key() if span else b"" for span in spans]
    found: dict[bytes, SpanLoss] = {}
    missing: dict[bytes, Span] = {}
    for key, span in zip(keys, spans, strict=True):
        if span is None or key in missing:
            continue
        known = student.cache.get(key)
        if known is None:
            missing[key] = span
        else:
            found[key] = known
    computed = student.span_losses(list(missing.values()))
    found.update(zip(missing, computed, strict=True))
    _remember_halves(student.cache, keys, found)
    losses = [found.get(key) for key in keys]
    return [tuple(losses[start : start + 4]) for start in range(0, len(losses), 4)]


def form_scores(
    plan: PairPlan, losses: Sequence[SpanLoss | None], tokens: ResponseTokens
) -> Scores:
    """Scores from the four measured losses of a plan."""
    means = [loss.mean if loss else None for loss in losses]
    reasons = {
        planned.reason if planned.span is None else UnscorableReason.NON_FINITE
        for planned, mean in zip(plan.spans, means, strict=True)
        if mean is None
    }
    given = losses[3]
    return Scores(
        status=Status.UNSCORABLE if reasons else Status.SCORED,
        reason=next((r for r in REASONS if r in reasons), UnscorableReason.NONE),
        losses=PairLosses(*means),
        instruction_tokens=plan.instruction_tokens,
        response_tokens=plan.response_tokens,
        truncated=any(planned.truncated for planned in plan.spans),
        straddled=plan.straddled,
        s_ifd=selective_ifd(loss_changes(tokens)),
        rsr=rank_surprisal_ratio(given.ranks, given.tokens) if given else None,
    )


def _remember_halves(cache: LossCache, keys: Sequence[bytes], found: dict[bytes, SpanLoss]) -> None:
    for place, key in enumerate(keys):
        if place % 4 < 2 and key:  # L(x) and L(y): a rewrite brings its own conditional losses
            cache.put(key, found[key])
