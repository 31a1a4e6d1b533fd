"""How the scoring of one run grows with the number of student processes, and what it costs others.

Real processes over PostgreSQL and Valkey: Celery workers of the queue ``student``, beat, and a
``default`` worker for the sweeper. Only the model is missing: a pair takes ``--pair-seconds`` of
sleep, as a GPU would take, so that eight of them fit on one machine. Efficiency is the rate beside
that of one process times their number. CPU milliseconds a pair, of the workers and of the database,
tell how many pairs a second the rest of the system can bear: where the coordinator saturates.

    .venv/bin/python benchmarks/scaling.py [--processes 1 2 4 8] [--pair-seconds 0.05]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.chaos.house import House  # noqa: E402

SLEEPING = str(REPOSITORY / "benchmarks" / "sleeping_worker.py")
PAIRS_A_SAMPLE = 3
CLAIM_SECONDS = 60


class Farm(House):
    """The same processes as in the storm, with students that only take their time."""

    pair_seconds = 0.05

    def _worker_command(self, queue: str, skew: int) -> list[str]:
        command = super()._worker_command(queue, skew)
        if queue != "student":
            return command
        return [command[0], SLEEPING, str(self.pair_seconds), *command[3:]]

    def cpu_seconds(self, name: str) -> float:
        total = 0.0
        for process in self.tree(name):
            with suppress(psutil.NoSuchProcess):  # its parent has its times from now on
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total


def fill(count: int) -> int:
    """A run over so many samples that came with both rewrites: nothing is left but to score."""
    from refinement.method.specs import PolicySpec
    from refinement.models import Dataset, GivenRewrite, Project, Run, RunSample, Sample, Student
    from refinement.services import given, models_registry
    from refinement.services.starting import run_config

    project = Project.objects.create(name="Scaling")
    dataset = Dataset.objects.create(project=project, name="Scaling", status="ready")
    made = Sample.objects.bulk_create(
        Sample(
            dataset=dataset,
            position=n,
            line=n + 1,
            instruction=f"What is known of the number {n}?",
            response="Little is known of it.",
            content_hash=f"{n:064}",
        )
        for n in range(count)
    )
    GivenRewrite.objects.bulk_create(
        GivenRewrite(
            dataset=dataset,
            position=n,
            kind=kind,
            instruction=f"Say in detail what is known of the number {n}.",
            response=f"Little is known of the number {n}, but it has divisors.",
        )
        for n in range(count)
        for kind in ("instruction", "response")
    )
    teacher, student = models_registry.given_teacher(), Student.objects.get()
    run = Run.objects.create(
        project=project,
        dataset=dataset,
        teacher=teacher,
        student=student,
        name="Scaling",
        config=run_config(teacher=teacher, student=student, policy=PolicySpec()),
        student_fingerprint="sleeping",
    )
    RunSample.objects.bulk_create(
        RunSample(run=run, sample=sample, position=sample.position) for sample in made
    )
    given.begin_with_given(run)
    return run.pk


def measure(farm: Farm, processes: int, seconds: float) -> tuple[float, float, float]:
    """Pairs a second of so many processes, and the CPU ms that each pair took of them and of the
    database."""
    from refinement.models import Run, Worker
    from refinement.services.dispatch import wake_now

    Worker.objects.all().delete()
    names = [f"student {number}" for number in range(processes)]
    for name in names:
        farm.start(name)
    alive = Worker.objects.filter(queues=["student"])
    farm.wait_for("the workers", lambda: alive.count() == processes)
    run = fill(int(processes * seconds / farm.pair_seconds / PAIRS_A_SAMPLE))
    before = [farm.cpu_seconds(name) for name in (*names, "database")]
    began = time.monotonic()
    wake_now("refinement.score", run)
    # What one student leaves to others at the end is no part of the rate: the middle is measured.
    total = Run.objects.get(pk=run).run_samples.count() * PAIRS_A_SAMPLE

    def scored() -> int:
        return int(Run.objects.values_list("scored_pairs", flat=True).get(pk=run))

    farm.wait_for("the first tenth", lambda: scored() >= total // 10)
    first, first_at = scored(), time.monotonic()
    farm.wait_for("nine tenths", lambda: scored() >= total * 9 // 10)
    last, last_at = scored(), time.monotonic()
    farm.wait_for("the end", lambda: Run.objects.get(pk=run).status == "complete")
    spent = [
        after - earlier
        for after, earlier in zip(
            (farm.cpu_seconds(name) for name in (*names, "database")), before, strict=True
        )
    ]
    print(f"{'':4}{total} pairs, all in {time.monotonic() - began:.1f} s", flush=True)
    for name in names:
        farm.terminate(name, seconds=60)
    rate = (last - first) / (last_at - first_at)
    return rate, 1000 * sum(spent[:-1]) / total, 1000 * spent[-1] / total


def tell_sizes() -> None:
    """Bytes that a sample takes in each table, indexes included. The texts here are short."""
    from django.db import connection

    from refinement.models import RunSample

    samples = RunSample.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(
            "SELECT relname, n_live_tup, pg_relation_size(relid), pg_indexes_size(relid), "
            "pg_total_relation_size(relid) FROM pg_stat_user_tables "
            "WHERE relname LIKE 'refinement_%' ORDER BY 5 DESC LIMIT 9"
        )
        print(f"\n{'bytes a sample':28}{'rows':>8}{'table':>8}{'indexes':>9}{'all':>8}")
        for name, count, table, indexes, total in cursor.fetchall():
            sizes = "".join(f"{size / samples:9.0f}" for size in (table, indexes, total))
            print(f"{name.removeprefix('refinement_'):28}{count / samples:8.1f}{sizes}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--pair-seconds", type=float, default=0.05, help="of GPU time")
    parser.add_argument("--seconds", type=float, default=20.0, help="that each figure takes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="srt-scaling-") as folder:
        farm = Farm(folder=Path(folder), env={"SRT_LEASE_SECONDS": str(CLAIM_SECONDS)})
        with closing(farm):
            _measure_all(farm, options)


def _measure_all(farm: Farm, options: argparse.Namespace) -> None:
    for name in ("database", "broker"):
        farm.start(name)
    os.environ.update(farm.env, DJANGO_SETTINGS_MODULE="srt_web.settings")
    import django
    from django.core.management import call_command

    django.setup()
    from refinement.models import Student

    call_command("migrate", verbosity=0)
    Student.objects.create(name="Sleeping", path="/none")
    farm.pair_seconds = options.pair_seconds
    for name in ("default", "beat"):
        farm.start(name)
    ideal = 1 / options.pair_seconds
    print(f"a pair takes {options.pair_seconds:g} s: one process can do {ideal:.0f} a second")
    rows, one = [], 0.0
    for processes in options.processes:
        rate, worker, database = measure(farm, processes, options.seconds)
        one = one or rate / processes
        rows.append(
            (processes, rate, rate / processes / one, rate / processes / ideal, worker, database)
        )
    print(f"\n{'processes':>9}{'pairs/s':>10}{'efficiency':>12}{'of ideal':>10}", end="")
    print(f"{'worker CPU ms':>15}{'database CPU ms':>17}")
    for processes, rate, efficiency, part, worker, database in rows:
        print(f"{processes:9}{rate:10.1f}{efficiency:12.1%}{part:10.1%}", end="")
        print(f"{worker:15.2f}{database:17.2f}")
    tell_sizes()
    database = rows[-1][-1]
    print(f"\none core of the database bears {1000 / database:,.0f} pairs a second")


if __name__ == "__main__":
    main()
