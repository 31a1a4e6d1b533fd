"""How much faster the batched student scores than a plain loop, on the same pairs in one run.

The plain loop is of the kind that was published with the method: float32, one sequence a pass, four
passes a pair, all hidden states and all logits kept. Both take turns, round after round, and the
best round of each counts, so that a machine with other work still gives a fair ratio.

    .venv/bin/python benchmarks/score.py [--input FILE] [--pairs N] [--rounds N] [--student PATH]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
django.setup()

import torch  # noqa: E402 -- after the settings, which say how its threads wait
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from refinement.embedded.model import ensure_embedded_model  # noqa: E402
from refinement.formats.registry import Record, read_records  # noqa: E402
from refinement.method.scoring import score_pairs  # noqa: E402
from refinement.method.spans import LossCache  # noqa: E402
from refinement.method.specs import StudentSpec  # noqa: E402
from refinement.method.student import Student  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from refinement.method.pairs import Pair
    from refinement.method.templates import Template

Losses = list[tuple[float | None, ...]]  # a row a pair: L(x), L(y), L(x|y'), L(y|x)


@dataclass
class Contestant:
    """One way to score, and how it did."""

    name: str
    score: Callable[[], Losses]
    seconds: float = float("inf")
    cpu_seconds: float = float("inf")  # of all threads: fairer where other processes take the cores
    losses: Losses | None = None

    def run(self) -> None:
        began, cpu_began = time.perf_counter(), time.process_time()
        self.losses = self.score()
        self.seconds = min(self.seconds, time.perf_counter() - began)
        self.cpu_seconds = min(self.cpu_seconds, time.process_time() - cpu_began)


class PlainLoop:
    """What a script would do: no batches, no reuse, every logit."""

    def __init__(self, path: Path, device: torch.device, max_length: int) -> None:
        load = AutoModelForCausalLM.from_pretrained
        self._model: Any = load(path, dtype=torch.float32, output_hidden_states=True)
        self._model = self._model.to(device).eval()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self._max_length = max_length

    def score(self, pairs: list[Pair], template: Template) -> Losses:
        return [self._four(pair, template) for pair in pairs]

    def _four(self, pair: Pair, template: Template) -> tuple[float | None, ...]:
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
        return float(self._model(input_ids=rows, labels=labels).loss)


def ours(student: Student, pairs: list[Pair], template: Template) -> Losses:
    student.cache = LossCache()  # nothing is known from the round before
    found = [scores.losses for scores in score_pairs(student, pairs, template)]
    return [
        (
            losses.instruction,
            losses.response,
            losses.instruction_given_response,
            losses.response_given_instruction,
        )
        for losses in found
    ]


def contestants(arguments: argparse.Namespace, pairs: list[Pair]) -> list[Contestant]:
    """The plain loop first; then ours in float32, and in bfloat16 where the hardware likes it."""
    path = Path(arguments.student) if arguments.student else ensure_embedded_model()
    spec = StudentSpec(path=str(path), template=arguments.template, device=arguments.device)
    students = [Student.load(StudentSpec(**spec.as_dict() | {"dtype": "float32"}))]
    chosen = Student.load(spec)
    if chosen.dtype != "float32":
        students.append(chosen)
    plain = PlainLoop(path, students[0].device, students[0].max_length)
    template = students[0].template()
    return [
        Contestant("plain loop, float32", lambda: plain.score(pairs, template)),
        *(
            Contestant(f"ours, {student.dtype}", lambda s=student: ours(s, pairs, template))
            for student in students
        ),
    ]


def furthest(one: Losses, other: Losses) -> float:
    """The largest difference of two losses of the same name."""
    return max(
        abs(a - b)
        for row, answer in zip(one, other, strict=True)
        for a, b in zip(row, answer, strict=True)
        if a is not None and b is not None
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, default=REPOSITORY / "refinement/demo/pairs.jsonl")
    parser.add_argument("--pairs", type=int, default=48, help="at most so many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--student", default="", help="default: the embedded one")
    parser.add_argument("--template", default="vicuna")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()

    records = (read for read in read_records(arguments.input) if isinstance(read, Record))
    pairs = [read.pair for read in islice(records, arguments.pairs) if read.pair.response]
    field = contestants(arguments, pairs)
    threads = torch.get_num_threads()
    print(f"{len(pairs)} pairs of {arguments.input.name}, template {arguments.template}, ", end="")
    print(f"torch {torch.__version__} with {threads} threads, best of {arguments.rounds} rounds\n")
    for _ in range(arguments.rounds):
        for contestant in field:
            contestant.run()
    plain = field[0]
    assert plain.losses is not None
    columns = f"{'seconds':>9}{'pairs/s':>9}{'ratio':>8}{'CPU s':>9}{'ratio':>8}"
    print(f"{'':24}{columns}{'largest loss difference':>26}")
    for contestant in field:
        assert contestant.losses is not None
        ratio = plain.seconds / contestant.seconds
        cpu_ratio = plain.cpu_seconds / contestant.cpu_seconds
        apart = furthest(plain.losses, contestant.losses)
        print(f"{contestant.name:24}{contestant.seconds:9.2f}", end="")
        print(f"{len(pairs) / contestant.seconds:9.2f}{ratio:7.2f}x", end="")
        print(f"{contestant.cpu_seconds:9.2f}{cpu_ratio:7.2f}x{apart:26.6f}")


if __name__ == "__main__":
    main()
