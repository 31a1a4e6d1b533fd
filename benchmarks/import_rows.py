"""How fast Alpaca records go into SQLite and PostgreSQL, and in how much memory.

Each import runs in a process of its own, so that the peak of its memory is its own; the reader that
it starts is counted with it, in CPU seconds and in memory. It is compared with a plain
``json.loads`` + ``bulk_create`` loop over the first 100,000 records in the same run. Meanwhile
another process reads a page of the same database and writes a row, again and again as web requests
would, and tells how long these waited. CPU seconds of PostgreSQL's own processes are not counted.

    .venv/bin/python benchmarks/import_rows.py [--rows 100000] [--databases sqlite,postgresql]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from large_run import new_database

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
PLAIN_ROWS = 100_000
WORDS = (REPOSITORY / "README.md").read_text("utf-8").split()


def write_file(path: Path, rows: int) -> None:
    """Alpaca records of the usual size: some 20 words are asked, some 60 answered."""
    chance = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            record = {
                "instruction": f"{number}: {' '.join(chance.choices(WORDS, k=20))}",
                "input": " ".join(chance.choices(WORDS, k=8)) if number % 3 == 0 else "",
                "output": " ".join(chance.choices(WORDS, k=60)),
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())  # or the system does it half a minute later, amid the import


# -- What runs in processes of its own ------------------------------------------------------------
def prepare() -> int:
    """A project to import into; the tables are made where they are missing."""
    from django.core.management import call_command

    from refinement.models import Project

    call_command("migrate", verbosity=0)
    return Project.objects.create(name=f"Benchmark {time.time()}").pk


def import_ours(path: Path) -> int:
    from django.core.files import File

    from refinement.models import Dataset, Project
    from refinement.services.datasets import create_dataset, import_dataset
    from refinement.services.dispatch import delivered_to

    with path.open("rb") as file, delivered_to(lambda _task, _pk: None):
        dataset = create_dataset(
            project=Project.objects.get(pk=prepare()),
            name="",
            upload=File(file),
            filename=path.name,
            user=None,
        )
    began, cpu = time.perf_counter(), cpu_seconds()
    import_dataset(dataset_id=dataset.pk)
    report(began, cpu)
    dataset = Dataset.objects.get(pk=dataset.pk)
    assert dataset.status == "ready", dataset.error
    return dataset.sample_count


def import_plainly(path: Path) -> int:
    from refinement.models import Dataset, Project, Sample

    project = Project.objects.get(pk=prepare())
    dataset = Dataset.objects.create(project=project, name="plain")
    began, cpu = time.perf_counter(), cpu_seconds()
    with path.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in islice(file, PLAIN_ROWS)]
    Sample.objects.bulk_create(
        (
            Sample(
                dataset=dataset,
                position=number,
                line=number + 1,
                instruction=record["instruction"],
                input=record["input"],
                response=record["output"],
            )
            for number, record in enumerate(records)
        ),
        batch_size=1000,
    )
    report(began, cpu)
    return len(records)


def cpu_seconds() -> float:
    """Of this process and of the children that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def report(began: float, cpu: float) -> None:
    peaks = [resource.getrusage(who).ru_maxrss for who in WHO]
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu": cpu_seconds() - cpu,
        "megabytes": sum(peaks) / 1024,
    }
    print(json.dumps(figures), flush=True)


def knock(until: Path) -> None:
    """Read a page's rows, then write a small one, again and again, and note how long each took.

    A row that could not be written at all (the plain loop holds SQLite for longer than a writer
    waits) counts with the time it waited.
    """
    from django.db import OperationalError

    from refinement.models import Dataset, Project
    from refinement.selectors.datasets import sample_page

    project_id = prepare()
    reads: list[float] = []
    writes: list[float] = []
    print("ready", flush=True)
    while not until.exists():
        began = time.perf_counter()
        dataset = Dataset.objects.first()
        if dataset is not None:
            list(sample_page(dataset, 1))
        between = time.perf_counter()
        with suppress(OperationalError):
            Project.objects.filter(pk=project_id).update(name=f"Benchmark {time.time()}")
        reads.append(between - began)
        writes.append(time.perf_counter() - between)
        time.sleep(0.05)
    print(json.dumps({"reading": sorted(reads), "writing": sorted(writes)}))


ROLES = {"ours": import_ours, "plain": import_plainly, "knock": knock}


# -- The run --------------------------------------------------------------------------------------
def child(role: str, path: Path, url: str, data: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "DATABASE_URL": url,
        "SRT_DATA_DIR": str(data),
        "SRT_LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "srt_web.settings",
    }
    command = [sys.executable, __file__, "--role", role, "--file", str(path)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def measure(role: str, path: Path, url: str, data: Path) -> dict[str, Any]:
    stop = data / f"stop-{role}"
    knocker = child("knock", stop, url, data)
    assert knocker.stdout is not None
    knocker.stdout.readline()
    worker = child(role, path, url, data)
    out, _ = worker.communicate()
    stop.touch()
    waits, _ = knocker.communicate()
    assert worker.returncode == 0, out
    figures: dict[str, Any] = json.loads(out.splitlines()[0]) | {"rows": int(out.splitlines()[1])}
    return figures | {"waits": json.loads(waits.splitlines()[0])}


def show(database: str, name: str, figures: dict[str, Any]) -> None:
    rate = figures["rows"] / figures["seconds"]
    waits = ", ".join(f"{kind} {_told(found)}" for kind, found in figures["waits"].items())
    print(
        f"{database:11} {name:26} {figures['rows']:>9,} rows  {figures['seconds']:7.1f} s  "
        f"{rate:>9,.0f} rows/s  {figures['rows'] / figures['cpu']:>9,.0f} rows/CPU s  "
        f"{figures['megabytes']:6.0f} MB\n{'':38} a request's {waits}",
        flush=True,
    )


def _told(waits: list[float]) -> str:
    middle, late = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    return f"p50 {1000 * middle:.0f}, p99 {1000 * late:.0f}, slowest {1000 * waits[-1]:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        import django

        django.setup()
        print(ROLES[options.role](options.file))
        return
    with tempfile.TemporaryDirectory(prefix="srt-bench-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        path = root / "alpaca.jsonl"
        write_file(path, options.rows)
        print(f"{options.rows:,} Alpaca records, {path.stat().st_size / 1e6:.0f} MB")
        for database in options.databases.split(","):
            data = root / database
            data.mkdir(mode=0o755)
            with new_database(database, data) as url:
                compare(database, path, url, data)


def compare(database: str, path: Path, url: str, data: Path) -> None:
    ours = measure("ours", path, url, data)
    show(database, "import_dataset", ours)
    plain = measure("plain", path, url, data)
    show(database, "json.loads + bulk_create", plain)
    ratio = ours["rows"] / ours["cpu"] / (plain["rows"] / plain["cpu"])
    print(f"{database:11} {ratio:.1f} times the rows of the plain loop in a CPU second")


if __name__ == "__main__":
    main()
