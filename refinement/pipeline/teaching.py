"""The teaching loop: keeps one run's share of the teacher busy until no work is left.

There is no chunk to wait for: whenever one sample is through its stage, the next is claimed. The
loop runs in an event loop of its own, inside a Celery task or a thread of ``manage.py refine``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from enum import Enum
from typing import TYPE_CHECKING

from django.conf import settings

from refinement.method.errors import PermanentTeacherError, ReplyError, TransientTeacherError
from refinement.method.limits import back_off
from refinement.method.specs import TeacherSpec
from refinement.method.teacher import Teacher, check
from refinement.models import Run, RunSample
from refinement.pipeline import claims, engines
from refinement.pipeline.budget_gate import BudgetGate, BudgetSpent
from refinement.pipeline.database_thread import DatabaseThread
from refinement.pipeline.desks import Desk, Desks
from refinement.pipeline.looking import Look, look_at
from refinement.pipeline.reflecting import Bench, fail_for_reply, reflect
from refinement.pipeline.replies import Halted, Sharing, StoredAsk
from refinement.pipeline.reply_store import Shelf
from refinement.pipeline.teacher_health import TeacherHealth
from refinement.services import runs
from refinement.services.budget import stop_for_budget
from refinement.services.dispatch import wake_now
from srt_web.logs import about

if TYPE_CHECKING:
    import threading

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5  # between looks at the run's status and at the worker's
SLICE_SECONDS = 300.0  # then other runs get their turn
GRACE_SECONDS = 4.0  # for questions under way when the worker is told to stop
STUDENT_WAKE_SECONDS = 1.0  # at most one message in this time, however many samples move on
RETRY_FIRST_SECONDS = 5.0
WORTH_A_CLAIM = 32  # of a share: fewer free places wait for more, until the next tick

desks = Desks()


class Mode(Enum):
    WORKING = "working"
    LEAVING = "leaving"  # claims nothing more, finishes the samples in hand
    HALTING = "halting"  # asks nothing more either: paused, cancelled, or the worker stops


def teach(run_id: int, *, stopping: threading.Event, slice_seconds: float = SLICE_SECONDS) -> None:
    """Work on a run's teacher stages until nothing can be claimed, or the slice of time is over."""
    run = Run.objects.filter(pk=run_id, status=Run.Status.RUNNING).first()
    if run is None or stopping.is_set():
        return
    asyncio.run(_teach(run, stopping, slice_seconds))
    runs.complete_if_finished(run_id=run_id)


async def _teach(run: Run, stopping: threading.Event, slice_seconds: float) -> None:
    spec = TeacherSpec.from_dict(run.config["teacher"])
    loop, stirred = asyncio.get_running_loop(), asyncio.Event()

    def stir() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just been closed
            loop.call_soon_threadsafe(stirred.set)

    desk = desks.take(run.pk, stir)
    if desk is None:
        return
    try:
        async with DatabaseThread() as database, engines.open_teacher(spec) as teacher:
            teaching = Teaching(run, desk, teacher, database, stirred, stopping, slice_seconds)
            await teaching.work()
    finally:
        desks.leave(desk, heedless=True)


class Teaching:
    """The state of one loop. Everything but the database runs in its event loop's thread."""

    def __init__(
        self,
        run: Run,
        desk: Desk,
        teacher: Teacher,
        database: DatabaseThread,
        stirred: asyncio.Event,
        stopping: threading.Event,
        slice_seconds: float,
    ) -> None:
        self.run = run
        self.desk = desk
        self.teacher = teacher
        self.database = database
        self.stirred = stirred
        self.stopping = stopping
        self.slice_ends = time.monotonic() + slice_seconds
        self.mode = Mode.WORKING
        self.health = TeacherHealth()
        self.in_flight: dict[asyncio.Task[None], RunSample] = {}
        self.look = Look(running=True, notice=run.notice, share=1)
        self.looked_at = self.renewed_at = self.woke_student_at = self.claimed_at = float("-inf")
        self.give_up_at = float("inf")
        self.hungry = True
        self.student_due = False
        self.messages: set[asyncio.Task[None]] = set()
        self.refusing = asyncio.Lock()
        self.gate = BudgetGate(database, teacher.spec)
        self.sharing = Sharing(on=run.config.get("reuse", True))
        self.shelf = Shelf(run, database, shared=self.sharing.on)
        self.bench = Bench(database)
        self.budget_spent = False

    async def work(self) -> None:
        try:
            while await self._turn():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self.stirred.wait()
            await self._clear_notice()
            if self.budget_spent:
                await self.database(stop_for_budget, run_id=self.run.pk)
        finally:
            await self._drop_all()
            await self._wake_student(last=True)
            await asyncio.gather(*self.messages)

    async def _turn(self) -> bool:
        """One round of the loop. Returns whether there is more to do."""
        if self.stirred.is_set():
            self.stirred.clear()
            self.hungry = True
        await self._reap()
        await self._look_around()
        if self.mode is Mode.WORKING:
            await self._claim()
        await self._wake_student()
        if self.in_flight:
            return time.monotonic() < self.give_up_at
        if self.mode is not Mode.WORKING:
            return False
        return self.health.on_hold or self.hungry or not desks.leave(self.desk)

    # -- Claiming ------------------------------------------------------------------------------
    async def _claim(self) -> None:
        desks.hear(self.desk)
        while self.hungry and self.mode is Mode.WORKING:
            ceiling = min(self.look.share, self.teacher.spec.max_concurrency)
            wanted = ceiling - len(self.in_flight)
            wanted = self.health.allowance(wanted, len(self.in_flight))
            if wanted < 1 or not self._is_worth_a_claim(wanted, ceiling):
                return
            rows = await self.database(
                claims.claim_chunk,
                self.run.pk,
                claims.TEACHER_STAGES,
                wanted,
                settings.LEASE_SECONDS,
                most_in_flight=self.look.share,
            )
            self.hungry = bool(rows)
            for row in rows:
                row.run = self.run
                task = asyncio.create_task(self._work_on(row))
                task.add_done_callback(lambda _: self.stirred.set())
                self.in_flight[task] = row

    def _is_worth_a_claim(self, wanted: int, ceiling: int) -> bool:
        """A claim is ten statements, for one row or for fifty: where many are due they wait."""
        now = time.monotonic()
        if wanted < ceiling // WORTH_A_CLAIM and now - self.claimed_at < TICK_SECONDS:
            return False
        self.claimed_at = now
        return True

    # -- One sample ----------------------------------------------------------------------------
    async def _work_on(self, row: RunSample) -> None:
        with about(sample=row.pk):
            await self._reflect(row)

    async def _reflect(self, row: RunSample) -> None:
        ask = StoredAsk(
            row,
            self.teacher,
            self.database,
            self._may_ask,
            self.health.answered,
            self.gate,
            self.sharing,
            self.shelf,
        )
        try:
            self.student_due |= await reflect(row, ask, self.bench)
        except Halted:
            await self.database(claims.release, [row])
        except BudgetSpent:
            self.budget_spent = True
            self._halt()
            await self.database(claims.release, [row])
        except ReplyError as error:
            await self.database(fail_for_reply, row, ask.last_step, error)
        except TransientTeacherError as error:
            self.health.failed(retry_after=error.retry_after)
            await self._try_later(row, "teacher_unreachable", str(error), error.retry_after)
            if self.health.on_hold:
                await self.database(runs.set_notice, run_id=self.run.pk, notice=_holding(error))
        except PermanentTeacherError as error:
            async with self.refusing:
                await self._refused(row, error)

    def _may_ask(self) -> bool:
        return self.mode is not Mode.HALTING

    async def _try_later(
        self, row: RunSample, reason: str, error: str, wait: float | None = None
    ) -> None:
        wait = back_off(row.attempts + 1, RETRY_FIRST_SECONDS) if wait is None else wait
        await self.database(claims.postpone, row, reason=reason, error=error, wait_seconds=wait)

    async def _refused(self, row: RunSample, error: PermanentTeacherError) -> None:
        """Is it this question that the teacher refuses, or every question? Asked, not guessed."""
        if self.mode is Mode.HALTING:
            await self.database(claims.release, [row])
            return
        try:
            await check(self.teacher.spec, rule=self.teacher.rule)
        except PermanentTeacherError as general:
            await self._pause(f"Paused, because every question would fail. {general}")
            await self.database(claims.release, [row])
            return
        except (TransientTeacherError, ReplyError):
            logger.info("run %d: the teacher could not be checked", self.run.pk)
        self.health.refused()
        await self.database(claims.fail, row, reason="refused_request", error=str(error))
        if self.health.refuses_all:
            await self._pause(f"Paused: the teacher refused several pairs in a row. {error}")

    async def _pause(self, notice: str) -> None:
        self._halt()
        await self.database(runs.halt_run, run_id=self.run.pk, notice=notice)

    # -- Looking after itself ------------------------------------------------------------------
    async def _reap(self) -> None:
        """Take note of what is done. A bug in one sample's work does not stop the others."""
        for task in [task for task in self.in_flight if task.done()]:
            row = self.in_flight.pop(task)
            error = task.exception()
            if error is not None:
                logger.error("run %d, pair %d failed", self.run.pk, row.position, exc_info=error)
                await self._try_later(row, "internal", f"Unexpected problem: {error!r}")

    async def _look_around(self) -> None:
        now = time.monotonic()
        if self.stopping.is_set() and self.give_up_at == float("inf"):
            self._halt()
            self.give_up_at = now + GRACE_SECONDS
        if now - self.looked_at >= TICK_SECONDS:
            self.looked_at = now
            self.hungry = True
            self.look = await self.database(look_at, self.run)
            self.gate.closed = self.shelf.budgeted = self.look.budgeted
            if not self.look.running:
                self._halt()
            elif self.look.notice:
                await self._clear_notice()
        if self.in_flight and now - self.renewed_at >= settings.LEASE_SECONDS / 3:
            self.renewed_at = now
            rows = list(self.in_flight.values())
            await self.database(claims.renew, rows, settings.LEASE_SECONDS)
        if self.mode is Mode.WORKING and now >= self.slice_ends:
            self.mode = Mode.LEAVING
            desks.leave(self.desk, heedless=True)
            self._send("refinement.teach")

    async def _clear_notice(self) -> None:
        """Whatever the run's notice warned of, the teacher answers."""
        if self.health.is_well:
            await self.database(runs.set_notice, run_id=self.run.pk, notice="")

    def _halt(self) -> None:
        """From here on a resumed run finds a free desk, while the last answers are awaited here."""
        self.mode = Mode.HALTING
        desks.leave(self.desk, heedless=True)

    async def _wake_student(self, *, last: bool = False) -> None:
        """Tell the student of new work, now and then, and only where no student is at it."""
        now = time.monotonic()
        if self.student_due and (last or now - self.woke_student_at >= STUDENT_WAKE_SECONDS):
            self.student_due = False
            self.woke_student_at = now
            if not await self.database(claims.is_in_hand, self.run.pk, claims.STUDENT_STAGES):
                self._send("refinement.score")

    def _send(self, task: str) -> None:
        """In a thread: a broker that hangs does not hold up the loop."""
        message = asyncio.create_task(asyncio.to_thread(wake_now, task, self.run.pk))
        self.messages.add(message)
        message.add_done_callback(self.messages.discard)

    async def _drop_all(self) -> None:
        """Whatever is still under way is cut short and given back, for others to do at once."""
        tasks = dict(self.in_flight)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.shelf.store.settled()  # replies that are here
        if tasks:
            await self.database(claims.release, list(tasks.values()))


def _holding(error: TransientTeacherError) -> str:
    return f"The teacher does not answer, and is asked again now and then. {error}"
