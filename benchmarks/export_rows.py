"""How fast the pairs of a run leave as JSON Lines, from SQLite and PostgreSQL, in how much memory.

Each export runs in a process of its own, so that the peak of its memory is its own. It is compared
with a plain loop over model instances and ``json.dumps`` in the same run. Of three exports the one
in the middle counts: cores that others share change their pace from one second to the next. CPU
seconds are those of the exporting process.

    .venv/bin/python benchmarks/export_rows.py [--rows 100000] [--databases sqlite,postgresql]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
TIMES = 3


def export_ours(folder: Path) -> int:
    from refinement.models import Run
    from refinement.services.exports import export_to_folder

    run = Run.objects.select_related("dataset", "student").latest("pk")
    manifest = export_to_folder(run=run, folder=folder, options={"include": "all"})
    return int(manifest["rows"])


def export_plainly(folder: Path) -> int:
    """The usual loop: a model instance for each row and what hangs on it."""
    from refinement.models import Run, RunSample

    rows = (
        RunSample.objects.filter(run=Run.objects.latest("pk"))
        .select_related("sample", "verdict__chosen", "decision__candidate", "decision__user")
        .order_by("position")
    )
    count = 0
    with folder.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
        for row in rows.iterator(chunk_size=1000):
            verdict = getattr(row, "verdict", None)
            pair = (verdict and verdict.chosen) or row.sample
            record = {"instruction": pair.instruction, "input": pair.input, "output": pair.response}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def measured(role: str, folder: Path) -> None:
    """In a process of its own: export, and tell how it went."""
    import django

    django.setup()
    import_module("refinement.services.exports")  # a worker has loaded it long ago

    tries = []
    for number in range(TIMES):
        began, cpu = time.perf_counter(), time.process_time()
        rows = (export_ours if role == "ours" else export_plainly)(folder / f"{role}-{number}")
        tries.append((time.perf_counter() - began, time.process_time() - cpu, rows))
    seconds, cpu, rows = sorted(tries)[TIMES // 2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"rows": rows, "seconds": seconds, "cpu": cpu, "peak": peak}
    sys.stdout.write(json.dumps(told))


def tidy(url: str) -> None:
    """What the server begins to do by itself a minute later, amid what is measured."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def compare(database: str, rows: int, folder: Path) -> None:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "srt_web.settings",
        "SRT_DATA_DIR": str(folder),
        "SRT_LOG_LEVEL": "WARNING",
    }
    if database == "postgresql":
        from tests.environment import start_postgres

        folder.chmod(0o755)
        environment["DATABASE_URL"] = start_postgres(folder / "postgres")
    for command in (["migrate", "-v0"], ["make_synthetic_run", "--samples", str(rows)]):
        subprocess.run(
            [sys.executable, "manage.py", *command], cwd=REPOSITORY, env=environment, check=True
        )
    if database == "postgresql":
        tidy(environment["DATABASE_URL"])
    for role in ("plain", "ours"):
        command = [sys.executable, __file__, "--measure", role, "--folder", str(folder)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        told = json.loads(done.stdout)
        print(
            f"{database:<11} {role:<6} {told['rows']:>9,} rows  "
            f"{told['rows'] / told['seconds']:>8,.0f} rows/s  "
            f"{told['rows'] / told['cpu']:>8,.0f} rows/CPU s  {told['peak']:>5,.0f} MiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--measure", choices=["plain", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measured(given.measure, given.folder)
        return
    for database in given.databases.split(","):
        with tempfile.TemporaryDirectory(prefix="srt-bench-") as folder:
            compare(database, given.rows, Path(folder))


if __name__ == "__main__":
    main()
