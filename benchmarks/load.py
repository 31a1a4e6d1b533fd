"""A hundred browsers at work while a run is refined and a large file is imported.

Real processes over PostgreSQL and Valkey: gunicorn as in the image (2 processes of 4 threads), a
worker for every queue, beat, a teacher. A browser looks at a reviewer's pages and decides, with
time to read between two requests: ``--browsers`` / ``--think`` requests a second in all. Told at
the end: what failed, how long pages took, the memory of the web processes over time, what became
of the run and of the import.

    .venv/bin/python benchmarks/load.py [--browsers 100] [--minutes 10] [--import-rows 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.chaos.house import House  # noqa: E402

PATIENCE = 60.0  # seconds for one page
TOKEN = "x" * 32  # of the check against forged forms: cookie and header are the same


class Site(House):
    def _web_command(self) -> list[str]:
        return [*super()._web_command(), "--workers", "2", "--threads", "4", "--timeout", "120"]

    def _mount(self) -> str:
        return "the disk is large enough here"

    def web_memory(self) -> float:
        """MiB of all web processes together, pages that they share counted once."""
        return float(sum(process.memory_full_info().pss for process in self.tree("web")) / 2**20)


@dataclass
class Browser:
    """One person with a session of their own: looks, reads, decides, looks again."""

    port: int
    session: str
    run: int  # the run under review
    live: int  # the run that is being refined
    think: float
    dice: random.Random
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)
    pairs: list[int] = field(default_factory=list)

    async def work(self, until: float) -> None:
        await asyncio.sleep(self.dice.uniform(0, self.think))
        while time.monotonic() < until:
            kind = self.dice.choices(
                ["review", "decide", "next page", "run", "live", "home", "pictures"],
                [40, 30, 10, 5, 10, 3, 2],
            )[0]
            await self._do(kind)
            await asyncio.sleep(self.dice.uniform(0, 2 * self.think))

    async def _do(self, kind: str) -> None:
        pair = self.dice.choice(self.pairs)
        paths = {
            "review": f"/runs/{self.run}/review/{pair}",
            "decide": f"/runs/{self.run}/review/{pair}/decide",
            "next page": f"/runs/{self.run}/review?order=margin",
            "run": f"/runs/{self.run}",
            "live": f"/runs/{self.live}/progress",
            "home": "/",
            "pictures": f"/runs/{self.run}/pictures",
        }
        form = "action=original&seen=0" if kind == "decide" else ""
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                status = await self._ask(paths[kind], form)
        except (OSError, TimeoutError, ValueError) as error:
            self.failures.append(f"{kind}: {type(error).__name__}")
            return
        self.times[kind].append(time.monotonic() - began)
        # 409 is an answer: somebody else has decided this pair meanwhile.
        if status >= 400 and (kind, status) != ("decide", 409):
            self.failures.append(f"{kind}: status {status}")

    async def _ask(self, path: str, form: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [
            f"{'POST' if form else 'GET'} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Connection: close",
            f"Cookie: sessionid={self.session}; csrftoken={TOKEN}",
            f"X-CSRFToken: {TOKEN}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(form)}",
        ]
        try:
            writer.write("\r\n".join([*lines, "", form]).encode())
            answer = await reader.read()
        finally:
            writer.close()
        return int(answer.split(b" ", 2)[1]) if answer else 0


class Load:
    def __init__(self, site: Site, options: argparse.Namespace) -> None:
        self.site = site
        self.options = options
        self.memory: list[float] = []
        self.ended = threading.Event()

    # -- Building --------------------------------------------------------------------------------
    def build(self) -> None:
        for name in ("database", "broker", "teacher server"):
            self.site.start(name)
        os.environ.update(self.site.env, DJANGO_SETTINGS_MODULE="srt_web.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        for name in ("web", "teacher", "student", "default", "beat"):
            self.site.start(name)
        call_command("make_synthetic_run", samples=self.options.pairs, verbosity=0)
        self._people()

    def _people(self) -> None:
        from django.test import Client

        from refinement.models import Membership, Run, User
        from refinement.services.models_registry import create_endpoint, create_student
        from refinement.services.tokens import make_token
        from srt_client.client import Client as Api
        from tests.pipeline.tiny_student import save_tiny_student

        self.run = Run.objects.get()
        self.owner = User.objects.create_superuser("owner", password="a long enough pass phrase")  # noqa: S106
        Membership.objects.create(project=self.run.project, user=self.owner, role="owner")
        self.sessions = []
        for user in User.objects.all():
            browser = Client()
            browser.force_login(user)
            self.sessions.append(browser.cookies["sessionid"].value)
        _, token = make_token(user=self.owner, name="load", scopes=["read", "write", "review"])
        self.api = Api(f"http://127.0.0.1:{self.site.web_port}", token)
        self.teacher = create_endpoint(
            name="Load",
            base_url=f"http://127.0.0.1:{self.site.teacher_port}/v1",
            model="fake-teacher",
            protocol="staged",
            max_concurrency=2,
        )
        path = save_tiny_student(self.site.folder / "student")
        self.student = create_student(name="Tiny", path=str(path), dtype="float32")

    def refine(self) -> int:
        """A run that lasts longer than the measurement."""
        path = self.site.folder / "questions.jsonl"
        write_rows(path, 200 * int(self.options.minutes * 60))
        dataset = self.api.upload(self.run.project_id, path)
        self.api.wait_dataset(dataset["id"])
        begun = self.api.start_run(
            self.run.project_id, dataset["id"], teacher=self.teacher.pk, student=self.student.pk
        )
        return int(begun["id"])

    # -- Measuring -------------------------------------------------------------------------------
    async def browse(self, live: int, pairs: list[int]) -> list[Browser]:
        browsers = [
            Browser(
                port=self.site.web_port,
                session=self.sessions[number % len(self.sessions)],
                run=self.run.pk,
                live=live,
                think=self.options.think,
                dice=random.Random(number),
                pairs=pairs,
            )
            for number in range(self.options.browsers)
        ]
        until = time.monotonic() + self.options.minutes * 60
        await asyncio.gather(*(browser.work(until) for browser in browsers))
        return browsers

    def watch(self) -> None:
        while not self.ended.wait(5):
            self.memory.append(self.site.web_memory())

    def import_file(self) -> None:
        path = self.site.folder / "large.jsonl"
        write_rows(path, self.options.import_rows)
        began = time.monotonic()
        self.imported = self.api.upload(self.run.project_id, path)["id"]
        self.uploaded = time.monotonic() - began

    def measure(self) -> None:
        live = self.refine()
        if self.options.import_rows:
            self.import_file()
        pairs = list(self.run.run_samples.order_by("position").values_list("pk", flat=True))
        watcher = threading.Thread(target=self.watch, daemon=True)
        watcher.start()
        browsers = asyncio.run(self.browse(live, pairs))
        self.ended.set()
        watcher.join()
        self.tell(browsers, live)

    def tell(self, browsers: list[Browser], live: int) -> None:
        times: dict[str, list[float]] = defaultdict(list)
        for browser in browsers:
            for kind, found in browser.times.items():
                times[kind] += found
        every = [seconds for found in times.values() for seconds in found]
        failures = [failure for browser in browsers for failure in browser.failures]
        asked = len(every) / (self.options.minutes * 60)
        print(f"{len(every)} requests, {asked:.1f} a second, {len(failures)} failed\n")
        print(f"{'':12}{'requests':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'worst':>9}")
        for kind, found in [*sorted(times.items()), ("all", every)]:
            cuts = statistics.quantiles(found, n=100) if len(found) > 1 else [found[0]] * 99
            marks = [cuts[49], cuts[94], cuts[98], max(found)]
            print(f"{kind:12}{len(found):10}" + "".join(f"{1000 * mark:9.0f}" for mark in marks))
        quarter = max(1, len(self.memory) // 4)
        early, late = self.memory[quarter : 2 * quarter], self.memory[-quarter:]
        print(
            f"\nweb memory: {statistics.mean(early):.0f} MiB in the second quarter, "
            f"{statistics.mean(late):.0f} MiB in the last, {max(self.memory):.0f} MiB at most"
        )
        self._tell_work(live)
        for failure in sorted(set(failures)):
            print(f"FAILED {failures.count(failure)} times: {failure}")

    def _tell_work(self, live: int) -> None:
        from refinement.models import Dataset, Run

        print(f"the run meanwhile stored {Run.objects.get(pk=live).teacher_calls} replies")
        if self.options.import_rows:
            dataset: Any = Dataset.objects.get(pk=self.imported)
            print(
                f"the import, uploaded in {self.uploaded:.0f} s, is {dataset.status} "
                f"with {dataset.record_count:,} of {self.options.import_rows:,} rows read"
            )


def write_rows(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            question = f"What is known about the number {number}, and of its neighbours?"
            answer = f"The number {number} lies between {number - 1} and {number + 1}."
            file.write(json.dumps({"instruction": question, "output": answer}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browsers", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--think", type=float, default=5.0, help="seconds between two requests")
    parser.add_argument("--pairs", type=int, default=20_000, help="of the run under review")
    parser.add_argument("--import-rows", type=int, default=1_000_000, help="0: no import")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="srt-load-") as folder,
        closing(Site(folder=Path(folder), env={})) as site,
    ):
        load = Load(site, options)
        load.build()
        load.measure()


if __name__ == "__main__":
    main()
