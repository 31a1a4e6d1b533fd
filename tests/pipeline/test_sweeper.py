from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from refinement.models import Dataset, Export, Run, RunSample, Worker
from refinement.pipeline import claims, sweeper
from refinement.pipeline.sweeper import sweep
from refinement.services import dispatch, runs

if TYPE_CHECKING:
    from tests.pipeline.world import World

Wakes = list[tuple[str, int]]


@pytest.fixture(autouse=True)
def empty_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "messages_waiting", lambda _: 0)


def swept(wakes: Wakes) -> Wakes:
    wakes.clear()
    sweep()
    return sorted(wakes)


def test_a_run_with_work_has_its_workers_woken(world: World, wakes: Wakes) -> None:
    run = world.run(2)
    assert swept(wakes) == [("refinement.teach", run.pk)]
    RunSample.objects.filter(run=run, position=0).update(stage="select_instruction")
    assert swept(wakes) == [("refinement.score", run.pk), ("refinement.teach", run.pk)]


def test_work_that_is_in_hand_is_left_alone_until_its_lease_runs_out(
    world: World, wakes: Wakes
) -> None:
    run = world.run(1)
    claims.claim_chunk(run.pk, claims.TEACHER_STAGES, 1, 60)
    assert swept(wakes) == []
    RunSample.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert swept(wakes) == [("refinement.teach", run.pk)]


def test_paused_runs_are_left_alone(world: World, wakes: Wakes) -> None:
    runs.pause_run(run=world.run(1))
    assert swept(wakes) == []


def test_a_finished_run_is_completed(world: World, wakes: Wakes) -> None:
    run = world.run(2)
    RunSample.objects.filter(position=0).update(stage="done", state="done")
    RunSample.objects.filter(position=1).update(state="failed")
    assert swept(wakes) == []
    run.refresh_from_db()
    assert (run.status, run.finished_at is None) == (Run.Status.COMPLETE, False)


def test_samples_that_kill_their_workers_are_set_aside(world: World, wakes: Wakes) -> None:
    run = world.run(1)
    claims.claim_chunk(run.pk, claims.TEACHER_STAGES, 1, -1)
    RunSample.objects.update(attempts=claims.MAX_LOST_LEASES)
    assert swept(wakes) == []
    assert RunSample.objects.get().error_reason == "worker_lost"
    run.refresh_from_db()
    assert run.status == Run.Status.COMPLETE


@pytest.mark.parametrize(
    ("status", "minutes", "stuck"),
    [
        ("pending", None, True),
        ("working", -1, True),
        ("working", 1, False),
        ("ready", None, False),
        ("failed", None, False),
    ],
)
def test_imports_and_exports_are_begun_again(
    world: World, wakes: Wakes, status: str, minutes: int | None, stuck: bool
) -> None:
    run = world.run(1)
    runs.pause_run(run=run)
    ends = timezone.now() + timedelta(minutes=minutes) if minutes else None
    export = Export.objects.create(
        run=run, status=status.replace("working", "writing"), lease_expires_at=ends
    )
    dataset = Dataset.objects.create(
        project=world.project,
        name="More",
        filename="more.json",
        status=status.replace("working", "importing"),
        lease_expires_at=ends,
    )
    expected = [("refinement.import_dataset", dataset.pk), ("refinement.write_export", export.pk)]
    assert swept(wakes) == (expected if stuck else [])


def test_a_queue_never_gets_a_flood(
    world: World, wakes: Wakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "messages_waiting", lambda _: sweeper.MOST_WAITING - 2)
    run_ids = [world.run(1).pk for _ in range(5)]
    woken: set[int] = set()
    while len(woken) < len(run_ids):
        sent = swept(wakes)
        assert len(sent) == 2
        woken |= {run_id for _, run_id in sent}
    assert woken == set(run_ids), "in the long run every run gets in"


def test_workers_that_died_long_ago_are_forgotten(world: World) -> None:
    Worker.objects.create(name="old", seen_at=timezone.now() - timedelta(days=2))
    Worker.objects.create(name="new", seen_at=timezone.now())
    sweep()
    assert list(Worker.objects.values_list("name", flat=True)) == ["new", "sweeper"]
