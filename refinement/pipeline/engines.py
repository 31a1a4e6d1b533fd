"""The two engines: teachers by event loop, and one loaded student a process."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.conf import settings

from refinement.method.teacher import Teacher
from refinement.services.teacher_addresses import address_rule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from refinement.method.encoder import Encoder
    from refinement.method.specs import StudentSpec, TeacherSpec
    from refinement.method.student import Student


@asynccontextmanager
async def open_teacher(spec: TeacherSpec) -> AsyncIterator[Teacher]:
    """A teacher for the running event loop, to which its connections belong."""
    teacher = Teacher(spec, rule=address_rule())
    try:
        yield teacher
    finally:
        await teacher.aclose()


@dataclass
class StudentSeat:
    """Holds the last student that was asked for, so that a model is loaded once, not per chunk."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    spec: StudentSpec | None = None
    student: Student | None = None
    loaded_at: float = 0.0  # of time.monotonic

    @contextmanager
    def occupied_by(self, spec: StudentSpec) -> Iterator[Student]:
        """The student of ``spec``, for this thread alone. Raises StudentError."""
        # Only a process that scores pays for importing torch.
        from refinement.method.student import Student

        with self.lock:
            if self.student is None or self.spec != spec:
                self.student = None  # first let go of the other one's memory
                gc.collect()  # also where compiled layers hold each other: it is seldom looked for
                self.student = Student.load(_on_this_machine(spec))
                self.spec = spec
                self.loaded_at = time.monotonic()
            yield self.student

    def is_free(self) -> bool:
        """Nobody would have to make room for a student."""
        return self.student is None

    def warm(self, seconds: float) -> StudentSpec | None:
        """The student that is loaded, for so many seconds at most."""
        fresh = self.student is not None and time.monotonic() - self.loaded_at < seconds
        return self.spec if fresh else None


@dataclass
class EncoderSeat:
    """The same for the encoder of a policy: the last one that was asked for stays."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    path: str = ""
    encoder: Encoder | None = None

    @contextmanager
    def occupied_by(self, path: str) -> Iterator[Encoder]:
        """Raises StudentError."""
        from refinement.method.encoder import Encoder

        with self.lock:
            if self.encoder is None or self.path != path:
                self.encoder = None
                self.encoder = Encoder.load(path, settings.STUDENT_DEVICE)
                self.path = path
            yield self.encoder


def _on_this_machine(spec: StudentSpec) -> StudentSpec:
    """The device is a matter of the worker, not of the run."""
    return replace(spec, device=settings.STUDENT_DEVICE)


_seat = StudentSeat()
student_in_seat = _seat.occupied_by
warm_student = _seat.warm
seat_is_free = _seat.is_free
encoder_in_seat = EncoderSeat().occupied_by
