"""IFD and r-IFD of pairs from a student's token losses.

For a pair with x the instruction joined with its input and y the response, the student is asked for
four losses (``PairLosses``): each half alone, and each half after a prompt that holds the other.
Source: arXiv 2402.10110, section 3, and the scoring script published with it.

* **Where a target begins** is found by position: prompt and prompt + target are both tokenised, and
  the target is all after the first ``len(tokens of the prompt)`` tokens. A token that straddles the
  border so belongs to the prompt, and is in no loss.
* **Truncation** cuts at the end, to the student's max length. A half alone is cut to what its
  conditional loss could see (max length less the prompt), so that both speak of the same text.
* **An empty half** leaves the pair with no signal: there is nothing to learn from or to guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from refinement.method.pairs import Pair, PairLosses, Scores, Status, UnscorableReason
from refinement.method.spans import LossCache, Span, SpanLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.templates import Template

# The order in which a reason is named where several losses are missing.
REASONS = (
    UnscorableReason.EMPTY,
    UnscorableReason.TOO_SHORT,
    UnscorableReason.TRUNCATED,
    UnscorableReason.NON_FINITE,
)


class LossModel(Protocol):
    """The part of a Student that scoring uses."""

    max_length: int
    prefix: list[int]
    cache: LossCache

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]: ...

    def span_losses(self, spans: Sequence[Span], *, per_token: bool = False) -> list[SpanLoss]: ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A span to ask for, or the reason why there is none."""

    span: Span | None
    reason: UnscorableReason = UnscorableReason.NONE
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class PairPlan:
    """The four spans of a pair, named as in ``PairLosses``, and its lengths in tokens."""

    instruction: Planned
    response: Planned
    instruction_given_response: Planned
    response_given_instruction: Planned
    instruction_tokens: int
    response_tokens: int

    @property
    def spans(self) -> tuple[Planned, Planned, Planned, Planned]:
        return (
            self.instruction,
            self.response,
            self.instruction_given_response,
            self.response_given_instruction,
        )


def score_pairs(student: LossModel, pairs: Sequence[Pair], template: Template) -> list[Scores]:
    """Scores of each pair, in order. A pair that cannot be scored says so, and breaks nothing.

    Equal spans are asked for once; L(x) and L(y), which the variants of a sample share, are also
    remembered between calls.
    """
    plans = plan_pairs(student, pairs, template)
    measured = measure(student, plans)
    return [form_scores(plan, losses) for plan, losses in zip(plans, measured, strict=True)]


def plan_pairs(student: LossModel, pairs: Sequence[Pair], template: Template) -> list[PairPlan]:
    """What to ask the student for, of each pair."""
    texts: list[str] = []
    for pair in pairs:
        asked, prompt = pair.instruction + pair.input, template.prompt(pair)
        guess = template.guess_prompt(pair.response)
        texts += [asked, pair.response, guess, guess + asked, prompt, prompt + pair.response]
    ids = student.tokenize(texts)
    return [
        _plan(student, template.brings_special_tokens, *ids[start : start + 6])
        for start in range(0, len(ids), 6)
    ]


def _plan(
    student: LossModel,
    brings_special_tokens: bool,
    asked: list[int],
    response: list[int],
    guess: list[int],
    guess_and_asked: list[int],
    prompt: list[int],
    prompt_and_response: list[int],
) -> PairPlan:
    lengths = {"instruction_tokens": len(asked), "response_tokens": len(response)}
    prefix = [] if brings_special_tokens else student.prefix
    after_guess, after_prompt = len(prefix) + len(guess), len(prefix) + len(prompt)
    if not asked or not response:
        nothing = Planned(span=None, reason=UnscorableReason.EMPTY)
        return PairPlan(
            instruction=_alone(student, asked, after_guess),
            response=_alone(student, response, after_prompt),
            instruction_given_response=nothing,
            response_given_instruction=nothing,
            **lengths,
        )
    limit = student.max_length
    return PairPlan(
        instruction=_alone(student, asked, after_guess),
        response=_alone(student, response, after_prompt),
        instruction_given_response=_conditional(prefix + guess_and_asked, after_guess, limit),
        response_given_instruction=_conditional(prefix + prompt_and_response, after_prompt, limit),
        **lengths,
    )


def _alone(student: LossModel, target: list[int], prompt_length: int) -> Planned:
    """Every token of the target that has a predecessor, as far as the conditional loss sees it."""
    if not target:
        return Planned(span=None, reason=UnscorableReason.EMPTY)
    limit = student.max_length
    if prompt_length < limit:
        limit -= prompt_length - 1
    whole = student.prefix + target
    cut = whole[:limit]
    targets = len(cut) - max(1, len(student.prefix))
    if targets < 1:
        short = len(whole) - max(1, len(student.prefix)) < 1
        reason = UnscorableReason.TOO_SHORT if short else UnscorableReason.TRUNCATED
        return Planned(span=None, reason=reason, truncated=not short)
    return Planned(span=Span(tuple(cut), targets), truncated=len(cut) < len(whole))


def _conditional(whole: list[int], prompt_length: int, limit: int) -> Planned:
    """What follows the prompt, as far as the context reaches."""
    if len(whole) <= prompt_length:
        return Planned(span=None, reason=UnscorableReason.TOO_SHORT)
    cut = whole[:limit]
    if len(cut) <= prompt_length:
        return Planned(span=None, reason=UnscorableReason.TRUNCATED, truncated=True)
    return Planned(span=Span(tuple(cut), len(cut) - prompt_length), truncated=len(cut) < len(whole))


def measure(
    student: LossModel, plans: Sequence[PairPlan], *, per_token: bool = False
) -> list[tuple[SpanLoss | None, ...]]:
    """The four losses of each plan, in the order of its spans; ``None`` where there is no span.

    Losses of single tokens are not remembered, so that the cache stays small.
    """
    spans = [planned.span for plan in plans for planned in plan.spans]
    keys = [span.key() if span else b"" for span in spans]
    found: dict[bytes, SpanLoss] = {}
    missing: dict[bytes, Span] = {}
    for key, span in zip(keys, spans, strict=True):
        if span is None or key in missing:
            continue
        known = None if per_token else student.cache.get(key)
        if known is None:
            missing[key] = span
        else:
            found[key] = known
    computed = student.span_losses(list(missing.values()), per_token=per_token)
    found.update(zip(missing, computed, strict=True))
    if not per_token:
        _remember_halves(student.cache, keys, found)
    losses = [found.get(key) for key in keys]
    return [tuple(losses[start : start + 4]) for start in range(0, len(losses), 4)]


def form_scores(plan: PairPlan, losses: Sequence[SpanLoss | None]) -> Scores:
    """Scores from the four measured losses of a plan."""
    means = [loss.mean if loss else None for loss in losses]
    reasons = {
        planned.reason if planned.span is None else UnscorableReason.NON_FINITE
        for planned, mean in zip(plan.spans, means, strict=True)
        if mean is None
    }
    return Scores(
        status=Status.UNSCORABLE if reasons else Status.SCORED,
        reason=next((r for r in REASONS if r in reasons), UnscorableReason.NONE),
        losses=PairLosses(*means),
        instruction_tokens=plan.instruction_tokens,
        response_tokens=plan.response_tokens,
        truncated=any(planned.truncated for planned in plan.spans),
    )


def _remember_halves(cache: LossCache, keys: Sequence[bytes], found: dict[bytes, SpanLoss]) -> None:
    for place, key in enumerate(keys):
        if place % 4 < 2 and key:  # L(x) and L(y): a rewrite brings its own conditional losses
            cache.put(key, found[key])
