from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.utils import timezone

from refinement.models import Run, RunSample
from refinement.pipeline import claims
from refinement.pipeline.claims import STUDENT_STAGES, TEACHER_STAGES
from refinement.services import runs
from tests.pipeline.world import make_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.world import World

LEASE = 60.0


def claim(run: Run, limit: int = 10, lease: float = LEASE) -> list[RunSample]:
    return claims.claim_chunk(run.pk, TEACHER_STAGES, limit, lease)


def positions(rows: list[RunSample]) -> list[int]:
    return [row.position for row in rows]


def put(run: Run, position: int, **fields: object) -> None:
    RunSample.objects.filter(run=run, position=position).update(**fields)


def test_rows_are_claimed_in_order_and_only_once(world: World) -> None:
    run = world.run(5)
    first, second, third = claim(run, 3), claim(run, 3), claim(run, 3)
    assert positions(first) == [0, 1, 2]
    assert positions(second) == [3, 4]
    assert third == []
    tokens = {row.lease_token for row in first}
    assert len(tokens) == 1
    assert tokens.isdisjoint(row.lease_token for row in second)


def test_deeper_stages_come_first(world: World) -> None:
    run = world.run(4)
    put(run, 3, stage="reflect_response")
    put(run, 2, stage="select_response")
    assert positions(claim(run)) == [3, 0, 1]
    assert positions(claims.claim_chunk(run.pk, STUDENT_STAGES, 10, LEASE)) == [2]


def test_the_last_ones_are_begun_before_others_are_finished(world: World) -> None:
    run = world.run(7)
    RunSample.objects.filter(run=run, position__lt=3).update(stage="reflect_response")

    def claim_two(most_in_flight: int) -> list[int]:
        return positions(
            claims.claim_chunk(run.pk, TEACHER_STAGES, 2, LEASE, most_in_flight=most_in_flight)
        )

    assert claim_two(3) == [0, 1], "four are left to begin, more than are under way at once"
    assert claim_two(4) == [3, 4]
    assert claim_two(6) == [5, 6]
    assert claim_two(8) == [2]


def test_a_row_in_back_off_waits(world: World) -> None:
    run = world.run(2)
    put(run, 0, not_before=timezone.now() + timedelta(minutes=1))
    assert positions(claim(run)) == [1]
    put(run, 0, not_before=timezone.now() - timedelta(seconds=1))
    assert positions(claim(run)) == [0]


@pytest.mark.parametrize("status", ["paused", "cancelled", "complete"])
def test_nothing_is_claimed_of_a_run_that_does_not_run(world: World, status: str) -> None:
    run = world.run(2)
    Run.objects.filter(pk=run.pk).update(status=status)
    assert claim(run) == []


def test_an_expired_lease_is_taken_over_and_costs_an_attempt(world: World) -> None:
    run = world.run(1)
    frozen = claim(run, lease=-1)
    [taken] = claim(run)
    assert taken.attempts == 1
    assert taken.lease_token != frozen[0].lease_token


def test_a_worker_that_froze_past_its_lease_changes_nothing(world: World) -> None:
    run = world.run(1)
    frozen, taken = claim(run, lease=-1), claim(run)
    assert claims.lock_ours(frozen) == set()
    assert claims.renew(frozen, LEASE) == 0
    assert claims.release(frozen) == 0
    assert not claims.fail(frozen[0], reason="late", error="Too late.")
    claims.postpone(frozen[0], reason="late", error="Too late.", wait_seconds=1)
    row = RunSample.objects.get(run=run)
    assert (row.state, row.lease_token, row.error) == ("leased", taken[0].lease_token, "")
    assert claims.lock_ours(taken) == {row.pk}


def test_an_expired_lease_that_nobody_took_is_still_ours(world: World) -> None:
    run = world.run(1)
    rows = claim(run, lease=-1)
    assert claims.renew(rows, LEASE) == 1
    assert claim(run) == []


def test_released_rows_are_free_at_once_and_cost_nothing(world: World) -> None:
    run = world.run(2)
    assert claims.release(claim(run)) == 2
    again = claim(run)
    assert positions(again) == [0, 1]
    assert [row.attempts for row in again] == [0, 0]


def test_a_passing_failure_is_tried_again_until_the_attempts_are_spent(world: World) -> None:
    run = world.run(1)
    for attempt in range(1, claims.MAX_ATTEMPTS):
        [row] = claim(run)
        assert claims.postpone(row, reason="down", error="Nothing answers.", wait_seconds=0)
        assert RunSample.objects.get(run=run).attempts == attempt
    [row] = claim(run)
    assert not claims.postpone(row, reason="down", error="Nothing answers.", wait_seconds=0)
    row = RunSample.objects.get(run=run)
    assert (row.state, row.stage) == ("failed", "reflect_instruction")
    assert (row.error_reason, row.error) == ("down", "Nothing answers.")


def test_a_row_that_cost_two_attempts_is_claimed_alone(world: World) -> None:
    run = world.run(3)
    put(run, 1, attempts=2)
    assert positions(claim(run)) == [1]
    assert positions(claim(run)) == [0, 2]


def test_a_row_whose_workers_keep_dying_is_set_aside(world: World) -> None:
    run = world.run(1)
    for _ in range(claims.MAX_LOST_LEASES):
        assert claims.fail_hopeless(run.pk) == 0
        assert len(claim(run, lease=-1)) == 1
    assert claim(run) == []
    assert claims.fail_hopeless(run.pk) == 1
    row = RunSample.objects.get(run=run)
    assert (row.state, row.error_reason) == ("failed", "worker_lost")


def test_advancing_frees_the_row_and_resets_its_attempts(world: World) -> None:
    run = world.run(1)
    claim(run, lease=-1)
    [row] = claim(run)
    claims.advance([row.pk], "select_instruction")
    row = RunSample.objects.get(run=run)
    assert (row.stage, row.state, row.attempts) == ("select_instruction", "ready", 0)
    assert (row.lease_token, row.lease_expires_at) == ("", None)
    claims.advance([row.pk], "done")
    assert RunSample.objects.get(run=run).state == "done"


def test_all_workers_together_stay_below_the_share(world: World) -> None:
    run = world.run(6)

    def claim_share(lease: float = LEASE) -> list[RunSample]:
        return claims.claim_chunk(run.pk, TEACHER_STAGES, 3, lease, most_in_flight=4)

    assert positions(claim_share()) == [0, 1, 2]
    assert positions(claim_share()) == [3]
    assert claim_share() == []
    RunSample.objects.filter(run=run, position=3).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert positions(claim_share()) == [3], "the lease of a dead worker takes no place"


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_get_different_rows(
    student_path: Path, wakes: list[tuple[str, int]]
) -> None:
    run = make_world(student_path=student_path).run(40)
    taken: list[int] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        while rows := claim(run, 3):
            taken.extend(positions(rows))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(40))


def test_has_work_sees_what_could_be_claimed(world: World) -> None:
    run = world.run(1)
    assert claims.has_work(run.pk, TEACHER_STAGES)
    assert not claims.has_work(run.pk, STUDENT_STAGES)
    claim(run)
    assert not claims.has_work(run.pk, TEACHER_STAGES)
    put(run, 0, lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert claims.has_work(run.pk, TEACHER_STAGES)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="others plan by the table's size")
def test_every_query_of_a_claim_follows_one_index(world: World) -> None:
    run = world.run(1)
    for rows in claims.claimable(run.pk, TEACHER_STAGES):
        plan = rows[:10].explain()
        assert "claim_order (run_id=? AND state=? AND stage=?)" in plan
        assert "B-TREE" not in plan, "nothing is sorted"


def test_work_is_in_hand_while_a_lease_lasts(world: World) -> None:
    run = world.run(1)
    assert not claims.is_in_hand(run.pk, TEACHER_STAGES)
    claim(run)
    assert claims.is_in_hand(run.pk, TEACHER_STAGES)
    assert not claims.is_in_hand(run.pk, STUDENT_STAGES)
    put(run, 0, lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert not claims.is_in_hand(run.pk, TEACHER_STAGES)


def test_a_pause_stops_claims_and_a_resume_allows_them(world: World) -> None:
    run = world.run(2)
    runs.pause_run(run=run)
    assert claim(run) == []
    runs.resume_run(run=run)
    assert len(claim(run)) == 2


def test_a_worker_whose_clock_is_wrong_takes_nothing_and_keeps_nothing_for_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, now = world.run(2), timezone.now
    assert positions(claim(run, 1)) == [0]
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(minutes=10))
    assert positions(claim(run, 2)) == [1], "the lease of the other has not run out"
    for row in RunSample.objects.filter(run=run):
        assert row.lease_expires_at is not None
        assert row.lease_expires_at < now() + timedelta(seconds=LEASE + 1)
