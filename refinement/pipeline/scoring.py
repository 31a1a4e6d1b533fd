"""The scoring loop: the student's work on one run, a chunk after the other."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings

from refinement.method.errors import StudentError
from refinement.method.specs import PolicySpec, StudentSpec
from refinement.models import Run, RunSample
from refinement.pipeline import claims, selecting
from refinement.pipeline.engines import (
    encoder_in_seat,
    seat_is_free,
    student_in_seat,
    warm_student,
)
from refinement.pipeline.holding import Holding
from refinement.selectors.shares import WEIGHTS
from refinement.services import runs
from refinement.services.dispatch import wake_another, wake_now

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from refinement.method.student import Student

    Timed = tuple[tuple[list[selecting.Fresh], selecting.Work], float]

logger = logging.getLogger(__name__)

FIRST_CHUNK = 4  # samples; small, so that the first pair is ready early
LARGEST_CHUNK = 512
CHUNK_SECONDS = 2.0  # aimed at: long enough to batch well, short enough to stop soon
# Then other runs, perhaps with other students, get their turn. Times the weight of the priority.
SLICE_SECONDS = 60.0
TEACHER_WAKE_SECONDS = 1.0
WARM_SECONDS = (
    600.0  # so long a loaded student is kept while it has work; loading another takes time
)


def score(run_id: int, *, stopping: threading.Event, slice_seconds: float = SLICE_SECONDS) -> None:
    """Work on a run's student stages until nothing can be claimed, or the slice of time is over."""
    run = Run.objects.filter(pk=run_id, status=Run.Status.RUNNING).first()
    if run is None or stopping.is_set():
        return
    if (warm := _with_warm_student(run)) is not None:
        wake_now("refinement.score", run_id)  # for another worker, or for later
        run, run_id = warm, warm.pk
    # Loaded before rows are claimed, and where there is room when a run begins: it takes its time.
    has_work = claims.has_work(run_id, claims.STUDENT_STAGES)
    if has_work or seat_is_free():
        try:
            with student_in_seat(StudentSpec.from_dict(run.config["student"])) as student:
                check_same(run, student)
                _load_encoder(run)
                student.template()  # one that it lacks concerns the run, not a sample
                if has_work:
                    Scoring(run, student, stopping, slice_seconds).work()
        except StudentError as error:
            notice = f"Paused, because the student cannot be used. {error}"
            runs.halt_run(run_id=run_id, notice=notice)
    runs.complete_if_finished(run_id=run_id)


def _with_warm_student(run: Run) -> Run | None:
    """Another run, for which the student is loaded that ``run`` would put out of the memory.

    Only while it has work, and not for ever: then whoever waits gets their turn.
    """
    spec = warm_student(WARM_SECONDS)
    if spec is None or spec == StudentSpec.from_dict(run.config["student"]):
        return None
    others = Run.objects.filter(status=Run.Status.RUNNING).exclude(pk=run.pk)
    for other in others.order_by("pk"):
        same = StudentSpec.from_dict(other.config["student"]) == spec
        if same and claims.has_work(other.pk, claims.STUDENT_STAGES):
            return other
    return None


def _load_encoder(run: Run) -> None:
    """Before rows are claimed, so that a wrong folder pauses the run and fails no sample."""
    policy = PolicySpec.from_dict(run.config["policy"])
    if policy.needs_encoder:
        with encoder_in_seat(policy.encoder):
            pass


def check_same(run: Run, student: Student) -> None:
    if student.fingerprint != run.student_fingerprint:
        raise StudentError(
            f"The student's files at {student.spec.path} are not those that the run began with: "
            "put those back, or start a new run."
        )


@dataclass(slots=True, eq=False)
class Chunk:
    """Rows that are held from their claim until what the student makes of them is saved."""

    rows: Sequence[RunSample]
    holding: Holding
    cases: list[selecting.Case] = field(default_factory=list)
    reading: Future[Timed] = field(default_factory=Future)


class Scoring:
    """The state of one loop.

    The student reads in a thread of its own. While it reads a chunk, the one before is judged and
    saved and the next one claimed, so that a GPU waits for no database.
    """

    def __init__(
        self, run: Run, student: Student, stopping: threading.Event, slice_seconds: float
    ) -> None:
        self.run = run
        self.student = student
        self.stopping = stopping
        weight = WEIGHTS[Run.Priority(run.priority)]
        self.slice_ends = time.monotonic() + slice_seconds * weight
        self.limit = FIRST_CHUNK
        self.teacher_due = False
        self.woke_teacher_at = float("-inf")
        self.alone = True  # nobody has been called to help yet
        self.held: list[Chunk] = []
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="student")

    def work(self) -> None:
        try:
            with self.reader:
                self._work()
        except BaseException:
            # Each is let go, also where another's rows cannot be given back: a database that is
            # away would else leave leases behind that are renewed for ever.
            with ExitStack() as letting_go:
                for chunk in self.held:
                    letting_go.push(chunk.holding)
                raise
        finally:
            self._wake_teacher(last=True)

    def _work(self) -> None:
        chunk = self._begin(self._claim())
        while chunk is not None:
            following = self._claim()
            wait([chunk.reading])
            self._begin(following)
            self._finish(chunk)
            self._wake_teacher()
            # What was finished just now may be all that there is to claim.
            chunk = following or self._begin(self._claim())
        if self._slice_is_over() and not self.stopping.is_set():
            wake_now("refinement.score", self.run.pk)

    def _slice_is_over(self) -> bool:
        return time.monotonic() >= self.slice_ends

    def _claim(self) -> Chunk | None:
        if self.stopping.is_set() or self._slice_is_over():
            return None
        rows = claims.claim_chunk(
            self.run.pk, claims.STUDENT_STAGES, self.limit, settings.LEASE_SECONDS
        )
        if not rows:
            return None
        chunk = Chunk(rows, Holding(rows).__enter__())
        self.held.append(chunk)
        if self.alone and len(rows) == self.limit:
            self.alone = False
            wake_another("refinement.score", self.run.pk)
        chunk.cases = selecting.load_cases(rows)
        return chunk

    def _begin(self, chunk: Chunk | None) -> Chunk | None:
        if chunk is not None:
            chunk.reading = self.reader.submit(self._read, chunk.cases)
        return chunk

    def _read(self, cases: list[selecting.Case]) -> Timed:
        began = time.monotonic()
        return selecting.score_cases(self.student, cases), time.monotonic() - began

    def _finish(self, chunk: Chunk) -> None:
        try:
            read, seconds = chunk.reading.result()
            selecting.settle(self.run, self.student, chunk.cases, read)
            self.limit = next_limit(len(chunk.rows), self.limit, seconds)
        except StudentError as error:
            self._find_culprit(chunk.rows, error)
        chunk.holding.__exit__(None, None, None)
        self.held.remove(chunk)
        stages = {row.stage for row in chunk.rows}
        self.teacher_due |= RunSample.Stage.SELECT_INSTRUCTION in stages

    def _find_culprit(self, rows: Sequence[RunSample], error: StudentError) -> None:
        """Where the student cannot take a chunk, each of its samples is tried alone."""
        if len(rows) == 1:
            claims.fail(rows[0], reason="student", error=str(error))
            return
        for row in rows:
            cases = selecting.load_cases([row])
            try:
                read, _ = self.reader.submit(self._read, cases).result()
                selecting.settle(self.run, self.student, cases, read)
            except StudentError as own:
                claims.fail(row, reason="student", error=str(own))

    def _wake_teacher(self, *, last: bool = False) -> None:
        """Tell the teacher of new work, now and then, and only where no teacher is at it."""
        now = time.monotonic()
        if self.teacher_due and (last or now - self.woke_teacher_at >= TEACHER_WAKE_SECONDS):
            self.teacher_due = False
            self.woke_teacher_at = now
            if not claims.is_in_hand(self.run.pk, claims.TEACHER_STAGES):
                wake_now("refinement.teach", self.run.pk)


def next_limit(count: int, limit: int, seconds: float) -> int:
    """The next chunk's size from how long the last took: towards CHUNK_SECONDS, in steps of two."""
    if count < limit and seconds < CHUNK_SECONDS:
        return limit  # it was small for want of work, which says little
    fitting = count * CHUNK_SECONDS / max(seconds, 0.001)
    return int(max(1, min(LARGEST_CHUNK, 2 * limit, fitting)))
