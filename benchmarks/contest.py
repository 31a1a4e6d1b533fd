"""Ways to score the same spans, each a fresh reading of what others do, and how they are timed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from refinement.method.planning import plan_pairs
from refinement.method.scoring import score_plans
from refinement.method.spans import LossCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refinement.method.pairs import Pair
    from refinement.method.planning import PairPlan
    from refinement.method.student import Student
    from refinement.method.templates import Template

Four = tuple[float | None, ...]  # L(x), L(y), L(x|y'), L(y|x)


@dataclass
class Contestant:
    """One way to score, and how it did."""

    name: str
    score: Callable[[], list[Four]]
    seconds: float = float("inf")
    cpu_seconds: float = float("inf")  # of all threads: fairer where other processes take the cores
    losses: list[Four] = field(default_factory=list)

    def run(self) -> None:
        began, cpu_began = time.perf_counter(), time.process_time()
        self.losses = self.score()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds = min(self.seconds, time.perf_counter() - began)
        self.cpu_seconds = min(self.cpu_seconds, time.process_time() - cpu_began)


class PlainLoop:
    """What the published script does: one sequence a pass, four passes a pair, every logit.

    It keeps all hidden states, as the script asks the model to.
    """

    def __init__(self, model: Any, tokenizer: Any, max_length: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._max_length = max_length

    def score(self, pairs: Sequence[Pair], template: Template) -> list[Four]:
        return [self._four(pair, template) for pair in pairs]

    def _four(self, pair: Pair, template: Template) -> Four:
        asked, guess = pair.instruction + pair.input, template.guess_prompt(pair.response)
        prompt = template.prompt(pair)
        return (
            self._loss("", asked),
            self._loss("", pair.response),
            self._loss(guess, asked),
            self._loss(prompt, pair.response),
        )

    @torch.no_grad()
    def _loss(self, prompt: str, target: str) -> float | None:
        ids = self._tokenizer(prompt + target, truncation=True, max_length=self._max_length)
        rows = torch.tensor([ids.input_ids], device=self._model.device)
        labels = rows.clone()
        labels[0, : len(self._tokenizer(prompt).input_ids) if prompt else 0] = -100
        if not (labels[0, 1:] != -100).any():
            return None
        out = self._model(input_ids=rows, labels=labels, output_hidden_states=True)
        return float(out.loss)


class Harness:
    """``HFLM`` of lm_eval, asked for the same token spans as ours.

    It is entered where its ``loglikelihood`` has tokenised: so targets are the same to the token,
    and the time is that of the model and of its own batching.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int | str) -> None:
        from lm_eval.models.huggingface import HFLM

        self._harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)

    def score(self, plans: Sequence[PairPlan]) -> list[Four]:
        spans = [planned.span for plan in plans for planned in plan.spans]
        requests = [
            (("", ""), list(span.ids[: -span.targets]), list(span.ids[-span.targets :]))
            for span in spans
            if span
        ]
        tokens = self._harness._loglikelihood_tokens  # noqa: SLF001 -- what loglikelihood calls
        answers = iter(tokens(requests, disable_tqdm=True))
        losses = [-next(answers)[0] / span.targets if span else None for span in spans]
        return [tuple(losses[start : start + 4]) for start in range(0, len(losses), 4)]


def ours(student: Student, pairs: Sequence[Pair], template: Template) -> list[Four]:
    """From texts to scores, with every further signal."""
    student.cache = LossCache()  # nothing is known from the round before
    scored = score_plans(student, plan_pairs(student, pairs, template))
    return [
        (
            scores.losses.instruction,
            scores.losses.response,
            scores.losses.instruction_given_response,
            scores.losses.response_given_instruction,
        )
        for scores, _ in scored
    ]


def furthest(one: Sequence[Four], other: Sequence[Four]) -> float:
    """The largest difference of two losses of the same name."""
    return max(
        abs(a - b)
        for row, answer in zip(one, other, strict=True)
        for a, b in zip(row, answer, strict=True)
        if a is not None and b is not None
    )


def ifd_apart(one: Sequence[Four], other: Sequence[Four]) -> tuple[float, float]:
    """Mean and largest difference of the IFDs."""
    apart = [
        abs(a - b)
        for a, b in zip(map(_ifd, one), map(_ifd, other), strict=True)
        if a is not None and b is not None
    ]
    return sum(apart) / len(apart), max(apart)


def _ifd(losses: Four) -> float | None:
    _, alone, _, given = losses
    if alone is None or given is None:
        return None
    return float(torch.tensor(given - alone, dtype=torch.float64).exp())


def table(contestants: Sequence[Contestant], pairs: int, against: Sequence[Contestant]) -> str:
    """A line a contestant: times, how many times faster than each of ``against``, exactness."""
    first = contestants[0]
    columns = f"{'seconds':>9}{'pairs/s':>9}{'CPU s':>9}{'|dL| max':>10}{'|dIFD| mean, max':>20}"
    lines = [f"{'':26}{columns}"]
    for one in contestants:
        mean, most = ifd_apart(first.losses, one.losses)
        lines.append(
            f"{one.name:26}{one.seconds:9.2f}{pairs / one.seconds:9.2f}{one.cpu_seconds:9.2f}"
            f"{furthest(first.losses, one.losses):10.6f}{f'{mean:.6f} {most:.6f}':>20}"
        )
    for one in contestants:
        for other in against:
            if one is not other and one.name.startswith("ours"):
                wall, cpu = other.seconds / one.seconds, other.cpu_seconds / one.cpu_seconds
                lines.append(f"{one.name} against {other.name}: {wall:.2f} x, CPU {cpu:.2f} x")
    return "\n".join(lines)
