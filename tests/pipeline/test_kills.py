"""kill -9 of everything that may be killed, in mid-run, with real processes."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection, transaction

from refinement.models import Candidate, Run, RunSample, Score, TeacherCall, Verdict, Worker
from refinement.selectors.selection import effective_pairs
from refinement.selectors.workers import queues_alive
from refinement.services.exports import create_export
from tests.pipeline.processes import Cluster
from tests.pipeline.world import World, make_world, questions, standings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

SAMPLES = 20
CALLS = 5 * SAMPLES  # three steps for an instruction, two for a response


@pytest.fixture
def cluster(tmp_path: Path, process_env: dict[str, str]) -> Iterator[Cluster]:
    cluster = Cluster(folder=tmp_path, env=process_env)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def world(cluster: Cluster, student_path: Path, wakes: object) -> World:
    """A teacher that takes a while, and every worker. This process sends no message at all."""
    url = cluster.start_teacher("--latency", "0.15")
    cluster.start_broker()
    for queue in ("teacher", "student", "default"):
        cluster.start_worker(queue)
    cluster.start_beat()
    return make_world(student_path=student_path, base_url=url)


def calls() -> int:
    return TeacherCall.objects.count()


def is_complete(run: Run) -> bool:
    return Run.objects.get(pk=run.pk).status == Run.Status.COMPLETE


def selection(run: Run) -> list[tuple[Any, ...]]:
    """What an export holds: every pair, where it comes from, whether it is kept and why."""
    return [
        (s.position, s.pair, s.source, s.kept, s.reason, s.extra)
        for s in effective_pairs(run, include="all")
    ]


def check_nothing_lost(run: Run) -> None:
    assert standings(run) == [("done", "done")] * SAMPLES
    kinds = Counter(Candidate.objects.filter(run_sample__run=run).values_list("kind", flat=True))
    assert kinds == {"instruction": SAMPLES, "response": SAMPLES}
    assert Score.objects.filter(run_sample__run=run).count() == 3 * SAMPLES
    assert Verdict.objects.filter(run_sample__run=run, kept__isnull=False).count() == SAMPLES
    stored = TeacherCall.objects.filter(run_sample__run=run)
    fresh = Run.objects.get(pk=run.pk)
    assert stored.count() == fresh.teacher_calls == CALLS
    assert fresh.completion_tokens == sum(stored.values_list("completion_tokens", flat=True))
    assert fresh.scored_pairs == 3 * SAMPLES


@dataclass
class Ledger:
    """What was stored, and how much was asked, at certain moments of a run."""

    cluster: Cluster
    moments: list[tuple[int, set[str]]] = field(default_factory=list)

    def note(self) -> None:
        # The store first: a reply is in the log before it is stored.
        stored = set(TeacherCall.objects.values_list("text", flat=True))
        self.moments.append((len(self.cluster.requests()), stored))

    def check(self) -> None:
        replies = [entry["reply"] for entry in self.cluster.requests()]
        for asked, stored in self.moments:
            assert stored, "noted too early"
            assert not stored.intersection(replies[asked:]), "a stored reply was paid again"


def exported(cluster: Cluster, run: Run) -> list[dict[str, Any]]:
    """The file that the workers write of a run."""
    export = create_export(run=run, user=None, options={"include": "all"})

    def is_written() -> bool:
        export.refresh_from_db()
        return export.status == "ready"

    cluster.wait_for("the export", is_written)
    path = cluster.folder / "data" / "files" / export.file.name
    return [json.loads(line) for line in path.read_text().splitlines()]


def holds_no_lock(tokens: set[str]) -> bool:
    """Whether others can write beside the frozen worker: in a transaction it would block them."""
    if connection.vendor == "sqlite":
        place = connection.settings_dict["NAME"]
        with closing(sqlite3.connect(place, timeout=1, uri=True)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
        return True
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            list(Run.objects.select_for_update())
            list(RunSample.objects.select_for_update().filter(lease_token__in=tokens))
    except OperationalError:
        return False
    return True


def freeze_past_its_leases(cluster: Cluster) -> None:
    """Stop the teacher's worker in mid-work, let another take its samples over, and thaw it."""
    tokens: set[str] = set()

    def is_frozen_in_mid_work() -> bool:
        cluster.freeze("teacher")
        held = RunSample.objects.filter(state="leased", stage__startswith="reflect")
        tokens.update(held.values_list("lease_token", flat=True))
        if tokens and holds_no_lock(tokens):
            return True
        tokens.clear()
        cluster.thaw("teacher")
        return False

    cluster.wait_for("the teacher to be in mid-work", is_frozen_in_mid_work)
    cluster.running["frozen"] = cluster.running.pop("teacher")
    cluster.start_worker("teacher")
    cluster.wait_for(
        "the samples to be taken over",
        lambda: not RunSample.objects.filter(lease_token__in=tokens).exists(),
    )
    cluster.thaw("frozen")


def test_a_run_survives_every_death(cluster: Cluster, world: World) -> None:
    """kill -9 of each worker and of the broker, and a worker that freezes past its leases."""
    run, ledger = world.run(SAMPLES), Ledger(cluster)
    cluster.wait_for("some calls", lambda: calls() >= CALLS // 5)
    cluster.kill("teacher")
    ledger.note()
    cluster.start_worker("teacher")
    cluster.wait_for("scores", Score.objects.exists)
    cluster.kill("student")
    ledger.note()
    cluster.start_worker("student")
    cluster.wait_for("more calls", lambda: calls() >= CALLS * 2 // 5)
    cluster.kill("broker")
    ledger.note()
    cluster.start_broker()
    cluster.wait_for("yet more calls", lambda: calls() >= CALLS * 3 // 5)
    freeze_past_its_leases(cluster)
    ledger.note()
    cluster.wait_for("the end", lambda: is_complete(run))
    check_nothing_lost(run)
    ledger.check()

    undisturbed = world.run(SAMPLES)
    cluster.wait_for("the other run", lambda: is_complete(undisturbed))
    assert selection(run) == selection(undisturbed)
    assert exported(cluster, run) == exported(cluster, undisturbed)

    # On the same processes, whose start takes longer than what is looked at.
    check_that_the_polite_leave_no_lease_behind(cluster, world)


def check_that_the_polite_leave_no_lease_behind(cluster: Cluster, world: World) -> None:
    """Workers that are told to stop give back what they hold, even while the broker is down."""
    Worker.objects.all().delete()  # the rows of the killed
    cluster.wait_for("every heartbeat", lambda: queues_alive() == {"teacher", "student", "default"})
    run = world.run([f"Once more: {question}" for question in questions(SAMPLES)])
    cluster.wait_for("its scores", Score.objects.filter(run_sample__run=run).exists)
    for name in ("teacher", "frozen", "student", "default", "beat"):
        assert cluster.terminate(name, seconds=60) == 0, cluster.logs()
    assert not RunSample.objects.filter(state="leased").exists()
    assert not queues_alive()
    assert not is_complete(run)
    before = calls()

    cluster.start_worker("teacher")
    cluster.send("refinement.teach", run.pk)
    cluster.wait_for("more calls", lambda: calls() > before)
    cluster.kill("broker")
    assert cluster.terminate("teacher", seconds=15) == 0, "even while the broker is down"
    assert not RunSample.objects.filter(state="leased").exists()
    assert not run.run_samples.filter(attempts__gt=0).exists()
