"""How soon a what-if over a whole run is answered, and what it takes to read the run first.

A run of made-up scores is written to a database of its own, then asked as the page asks: the table
up to date, another policy evaluated on all samples, counted against the run's own and against what
people said. Every answer is a policy that was not asked before, so nothing comes from memory.

    .venv/bin/python benchmarks/whatif.py [--samples 100000] [--rounds 40]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
FOLDER = tempfile.TemporaryDirectory(prefix="srt-whatif-")
os.environ["SRT_DATA_DIR"] = FOLDER.name
os.environ["DATABASE_URL"] = f"sqlite:///{FOLDER.name}/bench.sqlite3"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")

import django  # noqa: E402 -- after the database is named

django.setup()

import numpy as np  # noqa: E402
from django.core.management import call_command  # noqa: E402
from made_up_run import make_run  # noqa: E402

from refinement.method.policies import POLICIES  # noqa: E402
from refinement.method.policies.diversity import coverage, facility_location  # noqa: E402
from refinement.method.specs import PolicySpec  # noqa: E402
from refinement.selectors import pictures  # noqa: E402
from refinement.selectors.run_columns import run_table  # noqa: E402
from refinement.selectors.what_if import (  # noqa: E402
    compare_policies,
    outcome_of,
    policy_of,
    what_if,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from refinement.method.policies.columns import Outcome
    from refinement.models import Run
    from refinement.selectors.run_columns import RunTable

LIMIT_MS = 200


def timed(name: str, work: Callable[[int], object], rounds: int = 1) -> list[float]:
    """Wall-clock and CPU milliseconds of each round; prints what they were."""
    walls, cpus = [], []
    for number in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        work(number)
        walls.append((time.perf_counter() - began) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    p95 = sorted(walls)[max(0, int(len(walls) * 0.95) - 1)]
    print(
        f"{name:<46} {statistics.median(walls):8.1f} ms   p95 {p95:8.1f} ms   "
        f"CPU {statistics.median(cpus):8.1f} ms"
    )
    return walls


def ask(run: Run) -> Callable[[int], object]:
    names = [n for n in POLICIES if POLICIES[n].takes_responses and n != "coherence"]

    def work(number: int) -> object:
        spec = PolicySpec(name=names[number % len(names)], max_r_ifd=0.5 + number / 97)
        return what_if(run, run_table(run), spec)

    return work


def best(run: Run) -> Callable[[int], object]:
    def work(number: int) -> object:
        spec = PolicySpec(top_by="ifd", top_percent=2 + number / 10, max_r_ifd=0.9)
        return what_if(run, run_table(run), spec)

    return work


def diversity(pool: int, chosen: int) -> None:
    """Points around 200 subjects of different weight."""
    random = np.random.default_rng(1)
    subjects = random.normal(size=(200, 384))
    drawn = random.choice(200, size=pool, p=(w := random.pareto(1.5, 200) + 0.1) / w.sum())
    vectors = (subjects[drawn] + random.normal(0, 0.6, (pool, 384))).astype(np.float32)
    rows: list[np.ndarray] = []
    timed(
        f"{chosen:,} of {pool:,} with diversity",
        lambda _: rows.append(facility_location(vectors, chosen)),
    )
    some = random.permutation(pool)[:chosen]
    print(
        f"  mean likeness to the nearest chosen one: {coverage(vectors, rows[0]):.3f}, "
        f"by chance {coverage(vectors, some):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    call_command("migrate", verbosity=0)
    print(f"Making {arguments.samples:,} samples ...")
    run = make_run(arguments.samples)
    timed("the run read into memory, once a process", lambda _: run_table(run))
    table = run_table(run)
    timed("a look whether it is up to date", lambda _: run_table(run), arguments.rounds)
    walls = timed("a what-if, another policy each time", ask(run), arguments.rounds)
    timed("a what-if with a cut, the best 2 to 6 %", best(run), arguments.rounds)
    filters = [PolicySpec(max_ifd=0.9 + n / 50) for n in range(5)]
    timed("all policies side by side", lambda n: compare_policies(table, filters[n]), 5)
    own = outcome_of(table, policy_of(run))
    timed("the scatter's figures", lambda _: (pictures.deltas(table), own), 5)
    timed("three histograms", lambda _: _histograms(table, own), 5)
    diversity(4_000, 1_000)
    slow = sum(wall > LIMIT_MS for wall in walls)
    print(f"What-ifs over {LIMIT_MS} ms at {len(table):,} samples: {slow} of {len(walls)}")


def _histograms(table: RunTable, outcome: Outcome) -> None:
    for picture in (
        pictures.ifd_histogram,
        pictures.r_ifd_histogram,
        pictures.length_histogram,
    ):
        picture(table, outcome)


if __name__ == "__main__":
    main()
