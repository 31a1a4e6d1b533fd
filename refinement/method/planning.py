"""Which four spans a student is asked for, of each pair.

For a pair with x the instruction joined with its input and y the response, the student is asked for
four losses (``PairLosses``): each half alone, and each half after a prompt that holds the other.
Source: arXiv 2402.10110, section 3, and the scoring script published with it.

* **Where a target begins** is found by position: prompt and prompt + target are both tokenised, and
  the target is all after the first ``len(tokens of the prompt)`` tokens. A token that straddles the
  border so belongs to the prompt, and is in no loss; the pair is flagged ``straddled`` whenever the
  prompt's own tokens are not those that prompt + target begins with.
* **Truncation** cuts at the end, to the student's max length. A half alone is cut to what its
  conditional loss could see (max length less the prompt), so that both speak of the same text.
* **An empty half** leaves the pair with no signal: there is nothing to learn from or to guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from refinement.method.pairs import Pair, UnscorableReason
from refinement.method.spans import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.templates import Template

Places = list[tuple[int, int]]
Encoded = tuple[list[int], Places]  # ids, and where each token stands in its text


class Encoder(Protocol):
    """The part of a Student that planning uses."""

    max_length: int
    prefix: list[int]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]: ...

    def tokenize_with_places(self, texts: Sequence[str]) -> list[Encoded]: ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A span to ask for, or the reason why there is none.

    ``places``, of a response: the characters [start, end) of it that each target covers. Empty
    where the tokenizer cannot tell.
    """

    span: Span | None
    reason: UnscorableReason = UnscorableReason.NONE
    truncated: bool = False
    places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PairPlan:
    """The four spans of a pair, named as in ``PairLosses``, and its lengths in tokens."""

    instruction: Planned
    response: Planned
    instruction_given_response: Planned
    response_given_instruction: Planned
    instruction_tokens: int
    response_tokens: int
    straddled: bool = False

    @property
    def spans(self) -> tuple[Planned, Planned, Planned, Planned]:
        return (
            self.instruction,
            self.response,
            self.instruction_given_response,
            self.response_given_instruction,
        )

    @property
    def forward_tokens(self) -> int:
        """Tokens that go through a student which scores this pair by itself."""
        return sum(planned.span.width for planned in self.spans if planned.span)


@dataclass(frozen=True, slots=True)
class Prompted:
    """A prompt's tokens, and those of prompt + target; both after ``prefix``."""

    prefix: list[int]
    prompt: list[int]
    whole: list[int]

    @property
    def length(self) -> int:
        """Of what precedes the target, in tokens."""
        return len(self.prefix) + len(self.prompt)

    @property
    def straddled(self) -> bool:
        return self.whole[: len(self.prompt)] != self.prompt


def plan_pairs(student: Encoder, pairs: Sequence[Pair], template: Template) -> list[PairPlan]:
    """What to ask the student for, of each pair."""
    texts: list[str] = []
    placed: list[str] = []
    prompts = [template.prompt(pair) for pair in pairs]
    for pair, prompt in zip(pairs, prompts, strict=True):
        asked, guess = pair.instruction + pair.input, template.guess_prompt(pair.response)
        texts += [asked, guess, guess + asked, prompt]
        placed += [pair.response, prompt + pair.response]
    ids, encoded = student.tokenize(texts), student.tokenize_with_places(placed)
    prefix = [] if template.brings_special_tokens else student.prefix
    return [
        _plan(student, prefix, ids[4 * n : 4 * n + 4], encoded[2 * n : 2 * n + 2], len(prompt))
        for n, prompt in enumerate(prompts)
    ]


def _plan(
    student: Encoder,
    prefix: list[int],
    ids: Sequence[list[int]],
    encoded: Sequence[Encoded],
    prompt_characters: int,
) -> PairPlan:
    asked, guess, guess_and_asked, prompt = ids
    (response, places), (prompt_and_response, places_after_prompt) = encoded
    guessing = Prompted(prefix, guess, guess_and_asked)
    answering = Prompted(prefix, prompt, prompt_and_response)
    nothing = Planned(span=None, reason=UnscorableReason.EMPTY)
    whole = bool(asked and response)
    limit = student.max_length
    after_guess = _conditional(guessing, limit) if whole else nothing
    after_prompt = _conditional(answering, limit, ranked=True) if whole else nothing
    alone = _alone(student, response, answering.length)
    return PairPlan(
        instruction=_alone(student, asked, guessing.length),
        response=_placed(alone, places, len(student.prefix), 0),
        instruction_given_response=after_guess,
        response_given_instruction=_placed(
            after_prompt, places_after_prompt, len(prefix), prompt_characters
        ),
        instruction_tokens=len(asked),
        response_tokens=len(response),
        straddled=whole and (guessing.straddled or answering.straddled),
    )


def _alone(student: Encoder, target: list[int], prompt_length: int) -> Planned:
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


def _conditional(prompted: Prompted, limit: int, *, ranked: bool = False) -> Planned:
    """What follows the prompt, as far as the context reaches."""
    whole, start = prompted.prefix + prompted.whole, prompted.length
    if len(whole) <= start:
        return Planned(span=None, reason=UnscorableReason.TOO_SHORT)
    cut = whole[:limit]
    if len(cut) <= start:
        return Planned(span=None, reason=UnscorableReason.TRUNCATED, truncated=True)
    span = Span(tuple(cut), len(cut) - start, ranked=ranked)
    return Planned(span=span, truncated=len(cut) < len(whole))


def _placed(planned: Planned, places: Places, prefix: int, before: int) -> Planned:
    """With the targets' places, counted from the character ``before``."""
    if planned.span is None or not places:
        return planned
    end = len(planned.span.ids) - prefix
    found = places[end - planned.span.targets : end]
    if before:
        found = [(first - before, last - before) for first, last in found]
    if found[0][0] < 0:  # a token that stands across the border
        found = [(max(0, first), max(0, last)) for first, last in found]
    return replace(planned, places=tuple(found))
