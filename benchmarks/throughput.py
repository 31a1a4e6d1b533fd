"""Whether scoring keeps its pace and its memory from a thousand pairs to a hundred thousand.

A random student of a few thousand weights, so that the time is that of everything around the model:
reading, tokenising, batching, forming scores, writing. Each size is a process of its own.

    .venv/bin/python benchmarks/throughput.py [--sizes 1000 10000 100000]

Without sizes only the first two, so that all benchmarks together stay under ten minutes.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import setting  # noqa: F401 -- it sets Django up
from real_pairs import REPOSITORY, default_input, read_pairs

WORDS = 24  # of an instruction or response, at most


def write_records(path: Path, count: int) -> None:
    """Short records, all different, made of the words of real ones."""
    words = " ".join(pair.response for pair in read_pairs(default_input(), 50)).split()
    source = random.Random(0)

    def text() -> str:
        return " ".join(source.choices(words, k=source.randint(4, WORDS)))

    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            file.write(json.dumps({"instruction": text(), "input": "", "output": text()}) + "\n")


def measure(records: Path, student: Path) -> None:
    """In a process of its own: score a file as the command does, and say how it went."""
    from refinement.formats.registry import read_records
    from refinement.management.score_lines import answer, in_chunks
    from refinement.method.specs import StudentSpec
    from refinement.method.student import Student

    loaded = Student.load(StudentSpec(path=str(student), dtype="float32"))
    template, done = loaded.template(), 0
    began, cpu_began = time.perf_counter(), time.process_time()
    for chunk in in_chunks(read_records(records)):
        lines = answer(chunk, first=done, student=loaded, template=template, tokens=False)
        done += len(lines)
        assert all(line["status"] == "scored" for line in lines)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{done:>9,}{done / seconds:12.0f}{done / cpu:16.0f}{peak:16.0f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        sys.exit()
    from tests.method.tiny_student import save_tiny_student

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        student = save_tiny_student(folder / "student")
        print(f"{'pairs':>9}{'pairs/s':>12}{'pairs/CPU s':>16}{'peak MiB':>16}", flush=True)
        for size in arguments.sizes:
            write_records(folder / "records.jsonl", size)
            measured = [str(folder / "records.jsonl"), str(student)]
            command = [sys.executable, __file__, "--measure", *measured]
            subprocess.run(command, check=True, cwd=REPOSITORY)
