"""Server time of the run page and the review room on a large run, beside plain counts and offsets.

    .venv/bin/python benchmarks/review.py [--samples 1000000] [--database postgresql] [--times 40]

It makes a run in a database of its own (or takes the newest of one by its address) and asks for
pages in this process, through the whole of Django but no network. "fetched ahead" is what a page
fetches while its pair is read, "decision" what a decision with the next pair in sight takes. The
baselines count all rows of the run for each filter, and jump to a random page by OFFSET, as a first
version would.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from typing import TYPE_CHECKING

from large_run import add_arguments, client_for, large_run, p95, reviewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client

    from refinement.models import Run

FILTERS = {
    "undecided": "",
    "closest calls": "?order=margin",
    "all, lowest r-IFD": "?show=all&order=r_ifd",
    "at random": "?order=random&seed=5",
    "IFD range": "?show=all&ifd_min=0.9&ifd_max=0.95&order=length",
    "marks": "?show=all&flag=unscorable&order=margin",
    "a rare word": "?show=all&q=%22item+4711%22",
    "a common word": "?show=all&q=the",
}


def timed(work: Callable[[], object], times: int) -> tuple[float, float, float]:
    """Median and 95th percentile of wall milliseconds, and CPU milliseconds of this process."""
    work()
    walls, cpu = [], time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        work()
        walls.append((time.perf_counter() - began) * 1000)
    cpu = (time.process_time() - cpu) * 1000 / times
    return statistics.median(walls), p95(walls), cpu


def pages(run: Run, client: Client, chance: random.Random) -> dict[str, Callable[[], object]]:
    ids = [run.run_samples.order_by(by).values_list("pk", flat=True)[0] for by in ("pk", "-pk")]

    def get(address: str, query: str = "") -> object:
        response = client.get(address + query, headers={"HX-Request": "true"})
        assert response.status_code == 200, (response.status_code, address)
        return response

    def room(query: str) -> Callable[[], object]:
        return lambda: get(f"/runs/{run.pk}/review/{chance.randint(*ids)}", query)

    found: dict[str, Callable[[], object]] = {"run page": lambda: get(f"/runs/{run.pk}")}
    for name, query in FILTERS.items():
        found[f"room: {name}"] = room(query)
    return found


def deciding(run: Run, client: Client) -> Iterator[object]:
    """Fetching the next pair and deciding with it in sight, in turns, through the queue."""
    at = client.get(f"/runs/{run.pk}/review").headers["Location"].partition("?")[0]
    htmx = {"HX-Request": "true"}
    while True:
        html = client.get(f"{at}/next", headers=htmx).content.decode()
        ahead = html.partition('data-pair="')[2].partition('"')[0]
        yield ahead
        said = {"action": "original", "seen": 0}
        answer = client.post(f"{at}/decide", said, headers=htmx | {"SRT-Ahead": ahead})
        assert answer.status_code == 200, answer
        at = answer["HX-Push-Url"]
        yield answer


def in_turns(work: Callable[[], object], times: int) -> dict[str, tuple[float, float, float]]:
    """The two halves of ``deciding``, each measured by itself."""
    found: dict[str, list[tuple[float, float]]] = {"room: fetched ahead": [], "decision": []}
    for _ in range(times + 1):
        for taken in found.values():
            began, cpu = time.perf_counter(), time.process_time()
            work()
            taken.append(((time.perf_counter() - began) * 1000, time.process_time() - cpu))
    figures = {}
    for name, taken in found.items():
        walls, cpus = zip(*taken[1:], strict=True)
        figures[name] = (statistics.median(walls), p95(list(walls)), 1000 * sum(cpus) / times)
    return figures


def baselines(run: Run, chance: random.Random) -> dict[str, Callable[[], object]]:
    from django.db.models import Count, F, Q

    from refinement.models import RunSample

    rows = RunSample.objects.filter(run=run)
    total = rows.count()
    undecided = Q(state__in=["done", "failed"], decision=None)

    def counts() -> object:
        return rows.aggregate(
            all=Count("pk"),
            undecided=Count("pk", filter=undecided),
            kept=Count("pk", filter=Q(verdict__kept=True)),
            dropped=Count("pk", filter=Q(verdict__kept=False)),
        )

    def offset() -> object:
        start = chance.randrange(total)
        by_margin = rows.filter(undecided).order_by(F("verdict__response_margin").asc(), "position")
        return list(by_margin.values_list("pk", flat=True)[start : start + 40])

    return {"baseline: counts of four lists": counts, "baseline: page by OFFSET": offset}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--times", type=int, default=40)
    options = parser.parse_args()
    chance = random.Random(1)
    with large_run(options) as run:
        client = client_for(reviewer(run.project))
        print(f"{'':38}{'median':>10}{'p95':>10}{'CPU':>10}  ms")

        def tell(name: str, figures: tuple[float, float, float]) -> None:
            print(f"{name:38}{''.join(f'{value:10.1f}' for value in figures)}", flush=True)

        for name, work in pages(run, client, chance).items():
            tell(name, timed(work, options.times))
        turns = deciding(run, client)
        for name, figures in in_turns(lambda: next(turns), options.times).items():
            tell(name, figures)
        for name, work in baselines(run, chance).items():
            tell(name, timed(work, max(3, options.times // 8)))


if __name__ == "__main__":
    main()
