"""How much faster the student scores than a plain loop and than lm_eval, on the same pairs.

All take turns in one run, round after round, and the best round of each counts.

    .venv/bin/python benchmarks/score.py [--input FILE] [--pairs N] [--rounds N] [--student PATH]
"""

from __future__ import annotations

import argparse
import importlib.util
from functools import partial
from pathlib import Path

import setting  # noqa: F401 -- first: it sets Django up

# isort: split
import torch
from contest import Contestant, Harness, PlainLoop, ours, table
from real_pairs import default_input, read_pairs

from refinement.embedded.model import ensure_embedded_model
from refinement.method.planning import plan_pairs
from refinement.method.specs import StudentSpec
from refinement.method.student import Student
from refinement.method.student_loading import load_student

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, default=default_input())
    parser.add_argument("--pairs", type=int, default=64, help="at most so many")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--student", default="", help="default: the embedded one")
    parser.add_argument("--template", default="vicuna")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--harness-batch", type=int, default=8, help="rows of a batch of lm_eval")
    arguments = parser.parse_args()

    pairs = read_pairs(arguments.input, arguments.pairs)
    path = arguments.student or str(ensure_embedded_model())
    spec = StudentSpec(path=path, template=arguments.template, device=arguments.device)
    chosen = Student.load(spec)
    dtypes = ["float32"] if chosen.dtype == "float32" else ["float32", chosen.dtype]
    template = chosen.template()
    plans = plan_pairs(chosen, pairs, template)

    plain, harness, own = [], [], []
    for dtype in dtypes:
        exact = StudentSpec(**spec.as_dict() | {"dtype": dtype})
        model, tokenizer = load_student(exact)
        loop = PlainLoop(model, tokenizer, chosen.max_length)
        plain.append(Contestant(f"plain loop, {dtype}", partial(loop.score, pairs, template)))
        if importlib.util.find_spec("lm_eval"):
            lm = Harness(model, tokenizer, arguments.harness_batch)
            harness.append(Contestant(f"lm_eval, {dtype}", partial(lm.score, plans)))
        student = chosen if dtype == chosen.dtype else Student.load(exact)
        own.append(Contestant(f"ours, {dtype}", partial(ours, student, pairs, template)))
    if not harness:
        print("lm_eval is not here: make bench installs it.\n")

    field = [*plain, *harness[-1:], *own]
    threads = torch.get_num_threads()
    print(f"{len(pairs)} pairs of {arguments.input.name}, template {arguments.template}, ", end="")
    print(f"torch {torch.__version__} with {threads} threads, best of {arguments.rounds}\n")
    for _ in range(arguments.rounds):
        for contestant in field:
            contestant.run()
            print(f"  {contestant.name}: {contestant.seconds:.1f} s", flush=True)
    against = list({one.name: one for one in (plain[0], plain[-1], *harness[-1:])}.values())
    print("\n" + table(field, len(pairs), against))
    print(f"\nTokens of these pairs, one by one: {sum(plan.forward_tokens for plan in plans):,}.")
