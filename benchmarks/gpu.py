"""One GPU: random weights in the shape of a known model, and the lengths of real Alpaca pairs.

Speed does not depend on what the weights say. A plain loop in the same dtype and lm_eval with its
automatic batch size score the first pairs, ours all of them. Two shares of the measured rate of
matrix products are told: one counts the tokens of every sequence that was asked for, the other only
those that went through the model (what several sequences begin with goes through once).

    python benchmarks/gpu.py --shape llama-7b|qwen-0.5b [--pairs N] [--steady N] [--tokenizer PATH]

Needs torch, transformers and orjson; lm_eval where it is installed; neither Django nor a database.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from contest import Contestant, Four, Harness, PlainLoop, furthest, ours
from real_pairs import default_input, read_pairs
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config

from refinement.method.batching import share
from refinement.method.planning import PairPlan, plan_pairs
from refinement.method.specs import StudentSpec
from refinement.method.student import Student

SHAPES: dict[str, Any] = {
    "llama-7b": LlamaConfig(vocab_size=32_000),  # the defaults are those of Llama 7B
    "qwen-0.5b": Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
}
CHUNK = 256  # pairs at once, where memory and pace are watched


def matrix_rate(size: int = 8192, times: int = 20) -> float:
    """FLOP a second of bare bfloat16 matrix products."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    a @ b
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        a @ b
    torch.cuda.synchronize()
    return 2 * size**3 * times / (time.perf_counter() - began)


@dataclass(frozen=True)
class Measured:
    """A student, and the model and tokenizer in it for those that score otherwise."""

    model: Any
    tokenizer: Any
    student: Student


def random_student(shape: str, tokenizer_path: Path | None) -> Measured:
    if tokenizer_path is None:
        from refinement.embedded.model import ensure_embedded_model

        tokenizer_path = ensure_embedded_model()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    config = SHAPES[shape]
    config.vocab_size = max(config.vocab_size, len(tokenizer))
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    student = Student(model=model, tokenizer=tokenizer, spec=StudentSpec(path=shape))
    return Measured(model, tokenizer, student)


def work_of(model: Any, plans: list[PairPlan]) -> tuple[float, float]:
    """FLOP of all sequences one by one, and of what goes through when beginnings are shared."""
    spans = [planned.span for plan in plans for planned in plan.spans if planned.span]
    head = model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for p in model.base_model.parameters())
    body -= model.get_input_embeddings().weight.numel()
    whole = sum(2 * body * span.width + 2 * head * span.targets for span in spans)
    shared = sum(group.shared * (len(group.members) - 1) for group in share(spans))
    return whole, whole - 2 * body * shared


def compare(measured: Measured, arguments: argparse.Namespace) -> None:
    model, tokenizer, student = measured.model, measured.tokenizer, measured.student
    pairs, template = read_pairs(arguments.input, arguments.pairs), student.template("vicuna")
    few = pairs[: arguments.baseline_pairs]
    loop = PlainLoop(model, tokenizer, student.max_length)
    harness_plans = plan_pairs(student, few, template)
    field = [(Contestant("plain loop", lambda: loop.score(few, template)), few)]
    if importlib.util.find_spec("lm_eval"):
        harness = Harness(model, tokenizer, "auto")
        field.append((Contestant("lm_eval, auto", lambda: harness.score(harness_plans)), few))
    field.append((Contestant("ours", lambda: ours(student, pairs, template)), pairs))
    loop.score(few[:2], template)  # kernels are chosen, and compiled, at their first use
    ours(student, pairs[:32], template)
    exact: list[Four] = []
    print(f"{'':16}{'pairs':>7}{'ms/pair':>10}{'|dL| max':>10}")
    for one, scored in field:
        for _ in range(2):
            one.run()
        exact = exact or one.losses
        apart = furthest(exact, one.losses[: len(exact)])
        each = 1e3 * one.seconds / len(scored)
        print(f"{one.name:16}{len(scored):7}{each:10.2f}{apart:10.4f}", flush=True)
    seconds = [one.seconds / len(scored) for one, scored in field]
    for (other, _), theirs in zip(field[:-1], seconds, strict=False):
        print(f"ours against {other.name}: {theirs / seconds[-1]:.1f} x")

    peak = matrix_rate()
    asked, done = work_of(model, plan_pairs(student, pairs, template))
    for name, work in (("asked for", asked), ("gone through", done)):
        rate = work / field[-1][0].seconds
        print(f"{rate / 1e12:.0f} TFLOP/s, {rate / peak:.0%} of a bare product's, tokens {name}")
    print(f"bare bfloat16 product: {peak / 1e12:.0f} TFLOP/s; {torch.cuda.get_device_name()}")


def steady(student: Student, arguments: argparse.Namespace) -> None:
    """Pace and memory over many pairs, all different: a word is put before each."""
    template, source = student.template("vicuna"), read_pairs(arguments.input, 3000)
    made = islice(enumerate(cycle(source)), arguments.steady)
    marks = {arguments.steady * n // 5 for n in range(1, 6)}
    began, done, before = time.perf_counter(), 0, 0
    while chunk := list(islice(made, CHUNK)):
        pairs = [replace(pair, response=f"{n} {pair.response}") for n, pair in chunk]
        ours(student, pairs, template)
        done += len(pairs)
        if any(done - len(pairs) < mark <= done for mark in marks):
            seconds = time.perf_counter() - began
            memory = torch.cuda.max_memory_allocated() / 2**30
            print(
                f"{done:7} pairs{(done - before) / seconds:8.0f} pairs/s, at most {memory:.2f} GiB",
                flush=True,
            )
            began, before = time.perf_counter(), done


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--input", type=Path, default=default_input())
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--baseline-pairs", type=int, default=24)
    parser.add_argument("--steady", type=int, default=0, help="pairs to watch memory and pace over")
    parser.add_argument("--tokenizer", type=Path, help="a folder; default: the embedded model's")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("This benchmark needs a CUDA device, and there is none here.")
    began = time.perf_counter()
    measured = random_student(chosen.shape, chosen.tokenizer)
    print(f"{chosen.shape}, made and compiled in {time.perf_counter() - began:.1f} s", flush=True)
    compare(measured, chosen)
    if chosen.steady:
        steady(measured.student, chosen)
