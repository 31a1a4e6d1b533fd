"""Claiming samples of a run: the only way by which a worker comes to own work.

A claim writes a fresh token and an end of lease into each row. Whatever the worker later saves is
saved only where the row still carries that token, so a worker that froze past its lease, and whose
rows others took over, changes nothing. Times are the database's: no worker's clock matters.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from refinement.models import Run, RunSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Stage, State = RunSample.Stage, RunSample.State

# Deepest first: a sample that is under way is finished before the next one is begun. The last ones
# are an exception, see _order_of_work.
TEACHER_STAGES = (Stage.REFLECT_RESPONSE, Stage.REFLECT_INSTRUCTION)
STUDENT_STAGES = (Stage.SELECT_RESPONSE, Stage.SELECT_INSTRUCTION)

MAX_ATTEMPTS = 5  # of one stage of one sample, until a passing failure counts as a lasting one
MAX_LOST_LEASES = 10  # more, since a worker seldom dies of what it holds
SUSPECT_ATTEMPTS = 2  # from here on a row is claimed alone: it may be what kills its worker
FREE: dict[str, Any] = {"lease_token": "", "lease_expires_at": None}


def claim_chunk(
    run_id: int,
    stages: Sequence[str],
    limit: int,
    lease_seconds: float,
    *,
    most_in_flight: int | None = None,
) -> list[RunSample]:
    """Up to ``limit`` rows that are now ours, with their samples, in the order of work.

    Empty when the run is not running. ``most_in_flight`` bounds the rows that all workers together
    hold in these stages of this run; the last that many are begun before others are finished. A row
    that cost ``MAX_LOST_LEASES`` attempts is left to ``fail_hopeless``.
    """
    with transaction.atomic():
        run = Run.objects.filter(pk=run_id, status=Run.Status.RUNNING)
        if most_in_flight is not None:
            # Workers that count before they claim must do so one after the other.
            run = run.select_for_update(no_key=True)
        if not run.values_list("pk", flat=True).first():
            return []
        if most_in_flight is not None:
            limit = min(limit, most_in_flight - _in_flight(run_id, stages).count())
            stages = _order_of_work(run_id, stages, most_in_flight)
        chosen = _choose(run_id, stages, limit)
        token = str(uuid.uuid4())
        _take(chosen, token, lease_seconds)
    for row in chosen:
        row.lease_token = token
    return chosen


def _order_of_work(run_id: int, stages: Sequence[str], at_once: int) -> Sequence[str]:
    """``stages``, or reversed once all that is left to begin could be under way at once.

    A sample takes as long as all of its questions after one another. Begun when the others are
    done, the last ones would run alone, and most of the teacher would stand idle to the end.
    """
    left = RunSample.objects.filter(run_id=run_id, stage=stages[-1], state=State.READY)
    return stages[::-1] if left[: at_once + 1].count() <= at_once else stages


def claimable(run_id: int, stages: Sequence[str]) -> Iterator[QuerySet[RunSample]]:
    """What could be claimed now, as querysets in the order of work."""
    now = Now()
    for stage in stages:
        # Three plain queries: one index serves each in order, and an OR of them would be sorted.
        rows = RunSample.objects.filter(run_id=run_id, stage=stage).order_by("position")
        yield rows.filter(
            state=State.LEASED, lease_expires_at__lte=now, attempts__lt=MAX_LOST_LEASES - 1
        )
        yield rows.filter(state=State.READY, not_before__isnull=True)
        yield rows.filter(state=State.READY, not_before__lte=now)


def has_work(run_id: int, stages: Sequence[str]) -> bool:
    return any(rows.exists() for rows in claimable(run_id, stages))


def is_in_hand(run_id: int, stages: Sequence[str]) -> bool:
    """Whether a worker is at it: it will find new work by itself, and needs no message."""
    return _in_flight(run_id, stages).exists()


def _in_flight(run_id: int, stages: Sequence[str]) -> QuerySet[RunSample]:
    return RunSample.objects.filter(
        run_id=run_id, state=State.LEASED, stage__in=stages, lease_expires_at__gt=Now()
    )


def _choose(run_id: int, stages: Sequence[str], limit: int) -> list[RunSample]:
    chosen: list[RunSample] = []
    for rows in claimable(run_id, stages):
        rest = limit - len(chosen)
        if rest <= 0:
            break
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, of=("self",))
        # SQLite needs no row locks: an IMMEDIATE transaction is the only writer.
        chosen += rows.select_related("sample")[:rest]
    suspects = [row for row in chosen if row.attempts >= SUSPECT_ATTEMPTS]
    return suspects[:1] or chosen


def _take(chosen: Iterable[RunSample], token: str, lease_seconds: float) -> None:
    """Lease the rows. One whose lease ran out has cost an attempt: its worker died or froze."""
    lease = {
        "state": State.LEASED,
        "lease_token": token,
        "lease_expires_at": Now() + timedelta(seconds=lease_seconds),
        "not_before": None,
        "reserved_tokens": 0,
        "reserved_cost": 0,
    }
    fresh = [row for row in chosen if row.state == State.READY]
    expired = [row for row in chosen if row.state == State.LEASED]
    if fresh:
        _rows(fresh).update(**lease)
    if expired:
        _rows(expired).update(**lease, attempts=F("attempts") + 1)
    for row in expired:
        row.attempts += 1
    for row in chosen:
        row.state = State.LEASED


def _rows(rows: Iterable[RunSample]) -> QuerySet[RunSample]:
    return RunSample.objects.filter(pk__in=[row.pk for row in rows])


def ours(rows: Iterable[RunSample]) -> QuerySet[RunSample]:
    """Those of the rows whose lease we still hold, whether it ran out meanwhile or not."""
    rows = list(rows)
    tokens = {row.lease_token for row in rows}
    return _rows(rows).filter(state=State.LEASED, lease_token__in=tokens)


def lock_ours(rows: Iterable[RunSample]) -> set[int]:
    """Ids of the rows that are still ours; they stay so until the transaction ends."""
    # In one order: two that lock the same rows never wait for each other.
    held = ours(rows).order_by("pk").select_for_update(no_key=True)
    return set(held.values_list("pk", flat=True))


def renew(rows: Iterable[RunSample], lease_seconds: float) -> int:
    """Push the end of the leases away. Returns how many of the rows were still ours."""
    end = Now() + timedelta(seconds=lease_seconds)
    return ours(rows).update(lease_expires_at=end)


def release(rows: Iterable[RunSample]) -> int:
    """Give rows back untouched, so that nobody has to wait for their leases to run out."""
    return ours(rows).update(state=State.READY, **FREE)


def advance(row_ids: Iterable[int], stage: str) -> int:
    """Move rows that ``lock_ours`` returned to their next stage. Call in the same transaction."""
    row_ids = list(row_ids)
    if not row_ids:
        return 0
    done = stage == Stage.DONE
    return RunSample.objects.filter(pk__in=row_ids).update(
        stage=stage,
        state=State.DONE if done else State.READY,
        attempts=0,
        error_reason="",
        error="",
        not_before=None,
        updated_at=Now(),
        **FREE,
    )


def postpone(row: RunSample, *, reason: str, error: str, wait_seconds: float) -> bool:
    """An attempt failed that may succeed later: wait, or fail when the attempts are used up.

    Returns whether it will be tried again.
    """
    if row.attempts + 1 >= MAX_ATTEMPTS:
        fail(row, reason=reason, error=error)
        return False
    ours([row]).update(
        state=State.READY,
        attempts=F("attempts") + 1,
        not_before=Now() + timedelta(seconds=wait_seconds),
        error_reason=reason,
        error=error,
        updated_at=Now(),
        **FREE,
    )
    return True


def fail(row: RunSample, *, reason: str, error: str) -> bool:
    """Set a row aside, in the stage where it stands, until somebody retries it."""
    return bool(
        ours([row]).update(
            state=State.FAILED,
            error_reason=reason,
            error=error,
            updated_at=Now(),
            **FREE,
        )
    )


def fail_hopeless(run_id: int) -> int:
    """Set rows aside whose workers died again and again while they held them."""
    return RunSample.objects.filter(
        run_id=run_id,
        state=State.LEASED,
        lease_expires_at__lte=Now(),
        attempts__gte=MAX_LOST_LEASES - 1,
    ).update(
        state=State.FAILED,
        error_reason="worker_lost",
        error=f"The worker died {MAX_LOST_LEASES} times while it had this pair: see its log.",
        updated_at=Now(),
        **FREE,
    )
