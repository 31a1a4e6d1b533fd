"""Break an installation again and again while it refines, and see that nothing came of it.

    python -m tests.chaos.storm --samples 500 --faults 50 --seed 1

Starts PostgreSQL, Valkey, web, workers, beat and a deterministic teacher, refines a dataset in
peace, then once more in the storm, as people would: through the API, while they look at pages and
decide. The same seed strikes the same blows at the same points of progress. Prints what was done
and ends with status 1 where something came of it. ``docs/chaos.md`` says what is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from refinement.management.stopping import terminated_as_interrupted
from tests.chaos.faults import WORKERS, Fault, plan
from tests.chaos.house import LEASE_SECONDS, House
from tests.environment import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from srt_client.client import Client
    from tests.chaos.ledger import Ledger
    from tests.chaos.visitors import Visit, Visitors

START = ("database", "broker", "teacher server")
SERVE = ("web", "teacher", "student", "default", "beat")
DECIDE_EVERY = 9  # the pairs at these positions are decided by a person
CONCURRENCY = 6  # requests that the teacher takes at a time
CALLS_EACH = 5  # questions that a sample takes
WAIT_SECONDS = 240.0


@dataclass
class Blow:
    """A fault that struck. Times are of ``time.monotonic``."""

    fault: Fault
    struck: float
    healed: float = 0.0
    recovered: float = 0.0

    def excuses(self, visit: Visit) -> bool:
        """Whether the page may have failed because of this fault."""
        meets = visit.began <= self.healed and visit.ended >= self.struck
        if visit.path == "/readyz":  # says 503 until workers are seen again
            return visit.began <= self.recovered and visit.ended >= self.struck
        return bool(self.fault.excuses) and meets


class Storm:
    """One installation and its two runs."""

    def __init__(
        self, folder: Path, *, samples: int, faults: int, seed: int, student: Path | None
    ) -> None:
        self.house = House(folder=folder, env={})
        self.student_path = student
        self.samples = samples
        self.chance = Random(seed)
        self.faults = plan(faults, self.chance, with_disk=not self.house.small_disk)
        self.blows: list[Blow] = []
        self.problems = self.house.complaints
        self.figures: dict[str, Any] = {"samples": samples, "faults": faults, "seed": seed}
        self.longest_lease = 0.0

    # -- Building --------------------------------------------------------------------------------
    def build(self) -> None:
        for name in START:
            self.house.start(name)
        os.environ.update(self.house.env, DJANGO_SETTINGS_MODULE="srt_web.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        for name in SERVE:
            self.house.start(name)
        self._people()

    def _people(self) -> None:
        from django.test import Client as Browser

        from refinement.models import User
        from refinement.services.models_registry import create_endpoint, create_student
        from refinement.services.tokens import make_token
        from srt_client.client import Client
        from tests.pipeline.tiny_student import save_tiny_student

        user = User.objects.create_superuser("owner", password="a long enough pass phrase")
        _, token = make_token(user=user, name="storm", scopes=["read", "write", "review"])
        self.client: Client = Client(f"http://127.0.0.1:{self.house.web_port}", token)
        browser = Browser()
        browser.force_login(user)
        self.session = browser.cookies["sessionid"].value
        self.teacher = create_endpoint(
            name="Deterministic",
            base_url=f"http://127.0.0.1:{self.house.teacher_port}/v1",
            model="fake-teacher",
            protocol="staged",
            max_concurrency=CONCURRENCY,
        )
        path = self.student_path or save_tiny_student(self.house.folder / "student")
        self.student = create_student(name="Tiny", path=str(path), dtype="float32")
        self.file = self.house.folder / "questions.jsonl"
        with self.file.open("w") as file:
            for number in range(self.samples):
                question = f"Question {number}: what is known about the tides of bay {number}?"
                answer = f"The tides of bay {number} are worth a closer look."
                file.write(json.dumps({"instruction": question, "output": answer}) + "\n")

    def begin(self, name: str) -> int:
        """A project of its own, so that no reply is found in storage. The run's id."""
        project = self.persist(lambda: self.client.create_project(name))["id"]
        dataset = self.persist(lambda: self.client.upload(project, self.file))["id"]
        self.persist(lambda: self.client.wait_dataset(dataset))
        return int(
            self.persist(
                lambda: self.client.start_run(
                    project, dataset, teacher=self.teacher.pk, student=self.student.pk
                )
            )["id"]
        )

    def persist(self, act: Callable[[], Any]) -> Any:
        """What a person does whose page did not come: try again."""
        from srt_client.client import Problem

        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return act()
            except Problem as problem:
                if time.monotonic() > deadline or problem.status not in {0, 500, 502, 503, 504}:
                    raise
                time.sleep(0.3)

    # -- In peace --------------------------------------------------------------------------------
    def calm(self) -> bytes:
        run = self.begin("In peace")
        self._until_complete(run)
        self._decide(run)
        return self._export(run)

    def _status(self, run: int) -> str:
        from refinement.models import Run
        from tests.chaos.ledger import patiently

        return str(patiently(lambda: Run.objects.get(pk=run).status))

    def _until_complete(self, run: int) -> None:
        seconds = WAIT_SECONDS + self.samples
        self.house.wait_for("the end of the run", lambda: self._status(run) == "complete", seconds)

    def _decide(self, run: int) -> None:
        for pair in self.persist(lambda: list(self.client.pairs(run))):
            if pair["position"] % DECIDE_EVERY == 0:
                action = "drop" if pair["position"] % 2 else "accept"
                self.persist(lambda at=pair["id"], do=action: self.client.decide(run, at, do))

    def _export(self, run: int) -> bytes:
        path = self.house.folder / f"export-{run}.jsonl"
        self.persist(lambda: self.client.export(run, path, include="all"))
        return path.read_bytes()

    # -- In the storm ----------------------------------------------------------------------------
    def rage(self) -> bytes:
        from tests.chaos.ledger import Ledger
        from tests.chaos.visitors import Visitors

        since = len(self.house.requests())
        run = self.begin("In the storm")
        ledger = Ledger(self.house, run)
        with Visitors(self.house.web_port, self.session, self._paths(run)) as visitors:
            self._strike_all(run, ledger, visitors)
            self._until_complete(run)
            self._decide(run)
            export = self._export(run)
            self._look_at_all(visitors)
        self._check_pages(visitors.visits)
        self._check_money(ledger, since)
        self._check_leases(run)
        return export

    def _paths(self, run: int) -> list[str]:
        from refinement.models import Run

        found = Run.objects.get(pk=run)
        return [
            "/",
            f"/projects/{found.project_id}",
            f"/datasets/{found.dataset_id}",
            f"/runs/{run}",
            f"/runs/{run}/progress",
            f"/runs/{run}/review",
            f"/runs/{run}/exports",
            f"/runs/{run}/pictures",
            f"/runs/{run}/history",
            "/status",
            "/metrics",
            "/healthz",
            "/readyz",
        ]

    def _strike_all(self, run: int, ledger: Ledger, visitors: Visitors) -> None:
        """Each blow at its point of progress; the last ones may fall when all is taught."""
        total = self.samples * CALLS_EACH
        points = sorted(self.chance.uniform(0.01, 0.9) for _ in self.faults)
        for fault, point in zip(self.faults, points, strict=True):
            self._until(ledger, lambda point=point: ledger.note() >= point * total)
            self._strike(fault, run, ledger, visitors)

    def _until(self, ledger: Ledger, condition: Callable[[], bool]) -> None:
        from tests.chaos.ledger import longest_lease, patiently

        def look() -> bool:
            self.longest_lease = max(self.longest_lease, longest_lease(ledger.run_id))
            return condition()

        self.house.wait_for("the next blow", lambda: patiently(look), WAIT_SECONDS)

    def _strike(self, fault: Fault, run: int, ledger: Ledger, visitors: Visitors) -> None:
        from django.utils import timezone

        from tests.chaos.ledger import held_tokens, is_seen, patiently

        blow = Blow(fault, struck=time.monotonic())
        held = patiently(lambda: held_tokens(run))
        fault.strike(self.house)
        if fault.meets == "disk":
            self._ask_for_disk(run)
        time.sleep(max(0.0, blow.struck + fault.seconds - time.monotonic()))
        fault.heal(self.house)
        blow.healed, healed_at = time.monotonic(), timezone.now()
        patiently(ledger.note)
        if fault.meets in WORKERS:  # it takes its time to start, and is missed until it is seen
            self.house.wait_for(
                f"the worker after: {fault.name}",
                lambda: patiently(lambda: is_seen(fault.meets, healed_at)),
                WAIT_SECONDS,
            )
        self.house.wait_for(
            f"the leases that were held at: {fault.name}",
            lambda: not patiently(lambda: held & held_tokens(run)),
            WAIT_SECONDS,
        )
        self.house.wait_for(
            f"every page after: {fault.name}",
            lambda: not any(visitors.look(path).failed for path in visitors.paths),
            WAIT_SECONDS,
        )
        blow.recovered = time.monotonic()
        self.blows.append(blow)
        what = f"{len(self.blows):3}  {fault.name:26} lasted {blow.healed - blow.struck:5.1f} s,"
        print(what, f"all well {blow.recovered - blow.healed:5.1f} s later", flush=True)

    def _ask_for_disk(self, run: int) -> None:
        """What the product says while there is no room: a sentence, and no server error."""
        from refinement.models import Run
        from srt_client.client import Problem

        project = Run.objects.get(pk=run).project_id
        attempts: dict[str, Callable[[], Any]] = {
            "upload": lambda: self.client.upload(project, self.file),
            "export": lambda: self.client.export(run, self.house.folder / "none.jsonl"),
        }
        for what, attempt in attempts.items():
            try:
                attempt()
            except Problem as problem:
                if problem.status in {0, 500} or "disk is full" not in str(problem):
                    self.problems.append(f"disk full, {what}: {problem.status} {problem}")
            else:
                self.problems.append(f"disk full, {what}: it said that it had worked")

    # -- What came of it -------------------------------------------------------------------------
    def _look_at_all(self, visitors: Visitors) -> None:
        from tests.chaos.visitors import GONE

        for path in visitors.paths:
            status = visitors.look(path).status
            if status == GONE or status >= 400:
                self.problems.append(f"in the end {path} answers {status}")

    def _check_pages(self, visits: list[Visit]) -> None:
        failed = [visit for visit in visits if visit.failed]
        for visit in failed:
            if not any(blow.excuses(visit) for blow in self.blows):
                after = [b.fault.name for b in self.blows if b.struck <= visit.ended][-1:]
                self.problems.append(f"{visit.path} answered {visit.status}; last blow: {after}")
        self.figures |= {"pages": len(visits), "pages_failed_during_a_fault": len(failed)}

    def _check_money(self, ledger: Ledger, since: int) -> None:
        stored, paid = ledger.note(), len(ledger.paid(since))
        again, vain = ledger.paid_again(since), ledger.paid_in_vain(since)
        if stored != self.samples * CALLS_EACH:
            self.problems.append(f"{stored} replies are stored, not {self.samples * CALLS_EACH}")
        if again:
            self.problems.append(f"{len(again)} stored replies were paid again")
        if vain > CONCURRENCY * 2 * len(self.faults):
            self.problems.append(f"{vain} replies were paid in vain")
        self.figures |= {"stored": stored, "paid": paid, "lost_under_way": vain}

    def _check_leases(self, run: int) -> None:
        from refinement.models import RunSample
        from tests.chaos.ledger import held_tokens

        if held_tokens(run):
            self.problems.append("a lease is still held")
        states = set(RunSample.objects.filter(run=run).values_list("stage", "state"))
        if states != {("done", "done")}:
            self.problems.append(f"samples ended as {sorted(states)}")
        if self.longest_lease > LEASE_SECONDS + 0.5:
            self.problems.append(f"a lease of {self.longest_lease:.0f} s was given")
        slowest = max(self.blows, key=lambda blow: blow.recovered - blow.healed)
        self.figures |= {
            "longest_lease_seconds": round(self.longest_lease, 2),
            "slowest_recovery_seconds": round(slowest.recovered - slowest.healed, 1),
            "slowest_recovery_after": slowest.fault.name,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description="Break an installation while it works.")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--student", type=Path, help="a folder; else a tiny one is made")
    parser.add_argument("--keep", action="store_true", help="leave the folder with all logs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="srt-chaos-"))
    try:
        with terminated_as_interrupted():
            return storm(folder, options)
    except KeyboardInterrupt:
        return 130
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def storm(folder: Path, options: argparse.Namespace) -> int:
    began = time.monotonic()
    storm = Storm(
        folder,
        samples=options.samples,
        faults=options.faults,
        seed=options.seed,
        student=options.student,
    )
    try:
        if storm.house.small_disk:
            print(f"the disk is never full: {storm.house.small_disk}")
        storm.build()
        print(f"built in {time.monotonic() - began:.0f} s, refining in peace", flush=True)
        expected = storm.calm()
        print(f"in peace until {time.monotonic() - began:.0f} s; now the storm", flush=True)
        if storm.rage() != expected:
            storm.problems.append("the export differs from that of the undisturbed run")
        storm.figures |= {"export_bytes": len(expected)}
    finally:
        if options.keep:
            print(f"logs: {folder}")
        storm.house.stop()
    storm.figures["seconds"] = round(time.monotonic() - began)
    print(json.dumps(storm.figures, indent=2))
    for problem in storm.problems:
        print("PROBLEM:", problem, file=sys.stderr)
    return 1 if storm.problems else 0


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    for setting in [name for name in os.environ if name.startswith("SRT_")]:
        del os.environ[setting]  # the settings are those of the house
    sys.exit(main())
