"""How many questions one worker process keeps in flight, and how near it comes to the ideal rate.

A local server answers each question after ``--latency`` seconds. With N questions at a time the
ideal rate is N / latency. First the client alone is measured, then the whole teaching loop with its
database. CPU milliseconds a question tell what a quieter machine would reach.

    .venv/bin/python benchmarks/teacher.py [--concurrency 500] [--latency 1.0] [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
SCRATCH = tempfile.TemporaryDirectory(prefix="srt-bench-")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")
os.environ["SRT_DATA_DIR"] = SCRATCH.name
os.environ["SRT_TEACHER_NETWORKS"] = "127.0.0.1"

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402

from refinement.method.specs import PolicySpec, TeacherSpec  # noqa: E402
from refinement.method.teacher import Teacher  # noqa: E402
from refinement.models import (  # noqa: E402
    Dataset,
    Endpoint,
    Project,
    Run,
    RunSample,
    Sample,
    Student,
)
from refinement.pipeline.teaching import teach  # noqa: E402
from refinement.services.dispatch import delivered_to  # noqa: E402
from refinement.services.starting import run_config  # noqa: E402

QUESTION = [{"role": "user", "content": "Criticise this record. " * 40}]
WARM_UP_SECONDS = 8.0  # all ask at once, and stay bunched for some seconds


def spec_for(url: str, concurrency: int) -> TeacherSpec:
    return TeacherSpec(url, "slow", max_concurrency=concurrency, timeout_seconds=60)


async def client_rate(url: str, concurrency: int, seconds: float) -> tuple[float, float]:
    """Questions a second after the warm-up, and CPU milliseconds of each."""
    teacher = Teacher(spec_for(url, concurrency))
    answered: list[float] = []
    ends = time.monotonic() + WARM_UP_SECONDS + seconds

    async def keep_asking() -> None:
        while time.monotonic() < ends:
            await teacher.ask(QUESTION)
            answered.append(time.monotonic())

    cpu = time.process_time()
    await asyncio.gather(*(keep_asking() for _ in range(concurrency)))
    await teacher.aclose()
    counted = sum(ends - seconds <= moment < ends for moment in answered)
    return counted / seconds, 1000 * (time.process_time() - cpu) / len(answered)


def loop_rate(url: str, concurrency: int, seconds: float) -> tuple[float, float]:
    """The same through the teaching loop: claims, stored replies, candidates."""
    call_command("migrate", verbosity=0)
    run = make_run(url, concurrency, samples=int(concurrency * (seconds + WARM_UP_SECONDS + 4)))
    stopping = threading.Event()
    with delivered_to(lambda *_: None):
        thread = threading.Thread(target=teach, args=[run.pk], kwargs={"stopping": stopping})
        thread.start()
        time.sleep(WARM_UP_SECONDS + 2)
        first, began, cpu = _calls(run), time.monotonic(), time.process_time()
        time.sleep(seconds)
        last, ended, spent = _calls(run), time.monotonic(), time.process_time() - cpu
        stopping.set()
        thread.join()
    # Of the time in between: what it takes to load the client and to connect is paid once.
    return (last - first) / (ended - began), 1000 * spent / max(1, last - first)


def _calls(run: Run) -> int:
    return Run.objects.values_list("teacher_calls", flat=True).get(pk=run.pk)


def make_run(url: str, concurrency: int, *, samples: int) -> Run:
    project = Project.objects.create(name="Bench")
    teacher = Endpoint.objects.create(
        name="Slow", base_url=url, model="slow", protocol="staged", max_concurrency=concurrency
    )
    student = Student.objects.create(name="None", path="/none")
    dataset = Dataset.objects.create(project=project, name="Bench", status="ready")
    made = Sample.objects.bulk_create(
        Sample(
            dataset=dataset,
            position=number,
            line=number + 1,
            instruction=f"What is known of the number {number}?",
            response="Little.",
            content_hash=f"{number:064}",
        )
        for number in range(samples)
    )
    run = Run.objects.create(
        project=project,
        dataset=dataset,
        teacher=teacher,
        student=student,
        name="Bench",
        config=run_config(teacher=teacher, student=student, policy=PolicySpec()),
    )
    RunSample.objects.bulk_create(
        RunSample(run=run, sample=sample, position=sample.position) for sample in made
    )
    return run


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.replace("/v1", "/stats")) as answer:  # noqa: S310 - our own
        found: dict[str, int] = json.load(answer)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--concurrency", type=int, default=500)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured, after the warm-up")
    arguments = parser.parse_args()
    server = REPOSITORY / "benchmarks" / "slow_teacher.py"
    command = [sys.executable, str(server), "--latency", str(arguments.latency)]
    ideal = arguments.concurrency / arguments.latency
    print(
        f"{arguments.concurrency} questions at a time, answers after {arguments.latency:g} s: ",
        end="",
    )
    print(f"the ideal is {ideal:.0f} a second\n")
    print(f"{'':26}{'a second':>10}{'of ideal':>10}{'CPU ms each':>13}{'in flight':>11}")
    for name, measure in (
        ("the client", lambda url, n, s: asyncio.run(client_rate(url, n, s))),
        ("the teaching loop", loop_rate),
    ):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            rate, cpu = measure(url, arguments.concurrency, arguments.seconds)
            most = stats(url)["most_in_flight"]
        finally:
            process.terminate()
        print(f"{name:26}{rate:10.1f}{rate / ideal:10.1%}{cpu:13.2f}{most:11d}")


if __name__ == "__main__":
    main()
