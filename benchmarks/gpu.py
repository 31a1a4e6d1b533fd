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
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from contest import Contestant, Harness, PlainLoop, furthest, ours
from real_pairs import default_input, read_pairs
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config

from refinement.method.batching import share
from refinement.method.planning import PairPlan, plan_pairs
from refinement.method.specs import StudentSpec
from refinement.method.student import Student

if TYPE_CHECKING:
    from refinement.method.pairs import Pair

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


def random_model(shape: str) -> Any:
    """The same weights whenever it is asked for."""
    torch.manual_seed(0)
    with torch.device("cuda"):
        return AutoModelForCausalLM.from_config(SHAPES[shape], dtype=torch.bfloat16).eval()


def planner(tokenizer: Any) -> Student:
    """Only to plan with: its weights are never asked."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=8,
    )
    model = AutoModelForCausalLM.from_config(config)
    return Student(model=model, tokenizer=tokenizer, spec=StudentSpec(path="", device="cpu"))


def work_of(model: Any, plans: list[PairPlan]) -> tuple[float, float]:
    """FLOP of all sequences one by one, and of what goes through when beginnings are shared."""
    spans = [planned.span for plan in plans for planned in plan.spans if planned.span]
    head = model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for p in model.base_model.parameters())
    body -= model.get_input_embeddings().weight.numel()
    whole = sum(2 * body * span.width + 2 * head * span.targets for span in spans)
    shared = sum(group.shared * (len(group.members) - 1) for group in share(spans))
    return whole, whole - 2 * body * shared


def baselines(shape: str, tokenizer: Any, few: list[Pair]) -> list[Contestant]:
    """Run with a model of their own: ours compiles the layers of the one that it is given."""
    encoder = planner(tokenizer)
    template = encoder.template("vicuna")
    plans, model = plan_pairs(encoder, few, template), random_model(shape)
    loop = PlainLoop(model, tokenizer, encoder.max_length)
    field = [Contestant("plain loop", lambda: loop.score(few, template))]
    if importlib.util.find_spec("lm_eval"):
        harness = Harness(model, tokenizer, "auto")
        field.append(Contestant("lm_eval, auto", lambda: harness.score(plans)))
    loop.score(few[:2], template)  # kernels are chosen at their first use
    for one in field:
        one.run()
        one.run()
        one.score = list
    return field


def compare(student: Student, model: Any, pairs: list[Pair], field: list[Contestant]) -> None:
    """A line each, the ratios, and how much of the GPU is used."""
    template, few = student.template("vicuna"), len(field[0].losses)
    us = Contestant("ours", lambda: ours(student, pairs, template))
    ours(student, pairs[:32], template)
    us.run()
    us.run()
    print(f"{'':16}{'pairs':>7}{'ms/pair':>10}{'|dL| max':>10}")
    each = [1e3 * one.seconds / len(one.losses) for one in (*field, us)]
    for one, milliseconds in zip((*field, us), each, strict=True):
        apart = furthest(field[0].losses, one.losses[:few])
        print(f"{one.name:16}{len(one.losses):7}{milliseconds:10.2f}{apart:10.4f}")
    for one, milliseconds in zip(field, each, strict=False):
        print(f"ours against {one.name}: {milliseconds / each[-1]:.1f} x")

    peak = matrix_rate()
    asked, done = work_of(model, plan_pairs(student, pairs, template))
    for name, work in (("asked for", asked), ("gone through", done)):
        rate = work / us.seconds
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
    if chosen.tokenizer is None:
        from refinement.embedded.model import ensure_embedded_model

        chosen.tokenizer = ensure_embedded_model()
    words = AutoTokenizer.from_pretrained(chosen.tokenizer)
    SHAPES[chosen.shape].vocab_size = max(SHAPES[chosen.shape].vocab_size, len(words))
    read = read_pairs(chosen.input, chosen.pairs)
    others = baselines(chosen.shape, words, read[: chosen.baseline_pairs])
    torch.cuda.empty_cache()
    started, measured = time.perf_counter(), random_model(chosen.shape)
    mine = Student(model=measured, tokenizer=words, spec=StudentSpec(path=chosen.shape))
    print(f"{chosen.shape}: made and compiled in {time.perf_counter() - started:.1f} s", flush=True)
    compare(mine, measured, read, others)
    if chosen.steady:
        steady(mine, chosen)
