"""Server time of the run page and the review room on a large run, beside plain counts and offsets.

    .venv/bin/python manage.py migrate
    .venv/bin/python manage.py make_synthetic_run --samples 100000
    .venv/bin/python benchmarks/review.py [--run N] [--times 40]

It measures the newest run, or ``--run``, of the configured database (SQLite, or PostgreSQL by
``DATABASE_URL``), in this process, through the whole of Django but no network. The baselines count
all rows of the run for each filter, and jump to a random page by OFFSET, as a first version would.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count, F, Q  # noqa: E402
from django.test import Client  # noqa: E402

from refinement.models import Membership, Run, RunSample, User  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

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
    return statistics.median(walls), sorted(walls)[int(len(walls) * 0.95) - 1], cpu


def client_for(run: Run) -> Client:
    user, _ = User.objects.get_or_create(username=f"bench-{run.project_id}")
    Membership.objects.get_or_create(
        project=run.project, user=user, defaults={"role": Membership.Role.REVIEWER}
    )
    client = Client()
    client.force_login(user)
    return client


def pages(run: Run, client: Client, chance: random.Random) -> dict[str, Callable[[], object]]:
    first, last = (
        run.run_samples.order_by(order).values_list("pk", flat=True)[0] for order in ("pk", "-pk")
    )

    def room(query: str) -> Callable[[], object]:
        def work() -> object:
            address = f"/runs/{run.pk}/review/{chance.randint(first, last)}{query}"
            response = client.get(address)
            assert response.status_code == 200, (response.status_code, address)
            return response

        return work

    found: dict[str, Callable[[], object]] = {"run page": lambda: client.get(f"/runs/{run.pk}")}
    for name, query in FILTERS.items():
        found[f"room: {name}"] = room(query)
    return found


def baselines(run: Run, chance: random.Random) -> dict[str, Callable[[], object]]:
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
    parser.add_argument("--run", type=int)
    parser.add_argument("--times", type=int, default=40)
    options = parser.parse_args()
    settings.ALLOWED_HOSTS.append("testserver")
    runs = Run.objects.select_related("project").order_by("-pk")
    run = (runs.filter(pk=options.run) if options.run else runs).first()
    if run is None:
        parser.error("there is no such run: make one with manage.py make_synthetic_run")
    chance = random.Random(1)
    print(f"{connection.vendor}, {run.run_samples.count():,} pairs, {options.times} times each")
    print(f"{'':38}{'median':>10}{'p95':>10}{'CPU':>10}  ms")
    for name, work in (pages(run, client_for(run), chance) | baselines(run, chance)).items():
        times = options.times if "baseline" not in name else max(3, options.times // 8)
        print(f"{name:38}{''.join(f'{value:10.1f}' for value in timed(work, times))}", flush=True)


if __name__ == "__main__":
    main()
