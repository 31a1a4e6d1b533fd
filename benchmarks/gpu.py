"""One GPU: random weights in the shape of a known model, and the lengths of real Alpaca pairs.

Speed does not depend on what the weights say. Ratios to a plain loop in the same dtype and to
lm_eval with its automatic batch size, and the share of the measured matrix-product rate that is
used, counted in useful tokens (padding and repeated text count for nothing).

    .venv/bin/python benchmarks/gpu.py --shape llama-7b|qwen-0.5b [--pairs N]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path

from setting import default_input, read_pairs  # first: it sets Django up

# isort: split
import torch
from contest import Contestant, Harness, PlainLoop, ours, table
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config

from refinement.embedded.model import ensure_embedded_model
from refinement.method.planning import plan_pairs
from refinement.method.specs import StudentSpec
from refinement.method.student import Student

SHAPES = {
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--input", type=Path, default=default_input())
    parser.add_argument("--pairs", type=int, default=256)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("This benchmark needs a CUDA device, and there is none here.")

    tokenizer = AutoTokenizer.from_pretrained(ensure_embedded_model())
    config = SHAPES[arguments.shape]
    config.vocab_size = max(config.vocab_size, len(tokenizer))
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    student = Student(model=model, tokenizer=tokenizer, spec=StudentSpec(path=arguments.shape))
    pairs, template = read_pairs(arguments.input, arguments.pairs), student.template("vicuna")
    plans = plan_pairs(student, pairs, template)

    loop = PlainLoop(model, tokenizer, student.max_length)
    field = [Contestant("plain loop, bfloat16", lambda: loop.score(pairs, template))]
    if importlib.util.find_spec("lm_eval"):
        harness = Harness(model, tokenizer, "auto")
        field.append(Contestant("lm_eval, bfloat16", lambda: harness.score(plans)))
    field.append(Contestant("ours, bfloat16", lambda: ours(student, pairs, template)))
    ours(student, pairs[:8], template)  # kernels are chosen at their first use
    for contestant in field:
        contestant.run()
    print(table(field, len(pairs), field[:-1]))

    spans = [planned.span for plan in plans for planned in plan.spans if planned.span]
    head = model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for p in model.base_model.parameters())
    body -= model.get_input_embeddings().weight.numel()
    work = sum(2 * body * span.width + 2 * head * span.targets for span in spans)
    rate, peak = work / field[-1].seconds, matrix_rate()
    memory = torch.cuda.max_memory_allocated() / 2**30
    print(f"\nours: {rate / 1e12:.0f} TFLOP/s in useful tokens, {rate / peak:.0%} of the bare")
    print(f"matrix product's {peak / 1e12:.0f}; {memory:.1f} GiB at most.")
