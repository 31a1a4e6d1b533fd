"""Keeps the embedded processes alive, and leaves none behind.

Single-threaded on purpose: the kernel ties a child's leash to the *thread* that started it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import call_command

from refinement.embedded.child import Child
from refinement.embedded.errors import EmbeddedError
from refinement.embedded.model import ensure_embedded_model, ensure_teacher_file
from refinement.embedded.ports import http_answers, port_answers
from refinement.embedded.services import (
    Plan,
    broker_port,
    check_ports,
    owns_broker,
    recipes,
)
from refinement.embedded.teacher_server import is_llama, teacher_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import IO

TICK_SECONDS = 0.2
STOP_SECONDS = 8.0  # for a warm shutdown of all together; what is left is killed
START_SECONDS = 180.0
NEEDED_BYTES = 200 * 1024**2


class Supervisor:
    """Starts what ``plan`` asks for and keeps it up while ``tick`` is called.

    ``say`` gets one line for each thing that a person should know.
    """

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.say = say
        self.children: list[Child] = []
        self.stopping = False
        self._lock: IO[str] | None = None

    # -- Start ---------------------------------------------------------------------------------
    def start(self) -> bool:
        """Check, migrate, start all. False when asked to stop meanwhile.

        Raises EmbeddedError with one sentence; then nothing runs.
        """
        data_dir = Path(settings.DATA_DIR)
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            (data_dir / "logs").mkdir(exist_ok=True)
            self._take_lock(data_dir / "up.lock")
            check_disk(data_dir)
            check_ports(self.plan)
            self._prepare(data_dir / "logs")
        except OSError as error:
            self.stop()
            raise EmbeddedError(
                f"{error.filename or data_dir} cannot be used: {error.strerror}. Free some space, "
                f"mend its rights, or choose another data folder with SRT_DATA_DIR."
            ) from error
        except EmbeddedError:
            asked = self.stopping
            self.stop()
            if not asked:
                raise
        return not self.stopping

    def _prepare(self, log_dir: Path) -> None:
        model_dir = None
        if self.plan.teacher:
            model_dir = ensure_embedded_model(lambda: self.stopping)
            if is_llama():
                ensure_teacher_file(lambda: self.stopping)
        call_command("migrate", interactive=False, verbosity=0)
        self.children = [Child(r, log_dir) for r in recipes(self.plan, model_dir=model_dir)]
        for child in self.children:
            if self.stopping:
                return
            child.start()
            if child.recipe.name == "broker":
                self._wait_for_broker(child)

    def _wait_for_broker(self, child: Child) -> None:
        deadline = time.monotonic() + 20
        while owns_broker() and not port_answers(broker_port()):
            if not child.alive or time.monotonic() > deadline:
                raise EmbeddedError(f"The broker did not start: {child.last_words(1)}")
            time.sleep(0.05)

    def _take_lock(self, path: Path) -> None:
        self._lock = path.open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.seek(0)
            other = self._lock.read().strip() or "unknown"
            self._lock.close()
            self._lock = None
            raise EmbeddedError(
                f"srt-web is already up on this data folder (process {other}): use that one, stop "
                f"it, or choose another folder with SRT_DATA_DIR."
            ) from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    # -- Life ----------------------------------------------------------------------------------
    def tick(self) -> None:
        """Look after the children once: say who died, restart whose time has come."""
        for child in self.children:
            line = child.plan_restart()
            if line:
                self.say(line)
            if child.restart_is_due and not self.stopping:
                try:
                    child.start()
                except OSError as error:
                    child.restart_at = time.monotonic() + 30
                    self.say(f"{child.recipe.name} cannot be started: {error.strerror}")

    def run_until(self, done: Callable[[], bool], *, seconds: float | None = None) -> bool:
        """Tick until ``done()`` (True), or until asked to stop or out of time (False)."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.stopping:
            self.tick()
            if done():
                return True
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(TICK_SECONDS)
        return False

    def wait_until_ready(self) -> bool:
        """Tick until ``/readyz`` says that all answer. False when asked to stop meanwhile.

        Raises EmbeddedError when that takes too long, with what is missing.
        """
        if self.run_until(self.all_answer, seconds=START_SECONDS):
            return True
        if self.stopping:
            return False
        logs = Path(settings.DATA_DIR) / "logs"
        raise EmbeddedError(f"Not everything started within {START_SECONDS:g} s: see {logs}.")

    def all_answer(self) -> bool:
        """Whether ``/readyz`` says that everything does its work, and the teacher too."""
        plan = self.plan
        if not http_answers("/readyz", port=plan.port, host=plan.reach, name=known_host()):
            return False
        return not plan.teacher or teacher_answers()

    def check_not_hopeless(self, most_deaths: int) -> None:
        """Raise EmbeddedError when a child died so many times in a row, with its last words."""
        for child in self.children:
            if child.failures >= most_deaths:
                raise EmbeddedError(
                    f"The {child.recipe.name} keeps dying: {child.last_words(1) or 'it is silent'} "
                    f"(see {child.log_path})."
                )

    # -- End -----------------------------------------------------------------------------------
    def stop(self) -> None:
        """Stop all: a warm shutdown first, then the hard one. Afterwards nothing of ours runs."""
        self.stopping = True
        # The broker goes last: workers give their work back through it.
        last = [child for child in self.children if child.recipe.name == "broker"]
        first = [child for child in self.children if child not in last]
        deadline = time.monotonic() + STOP_SECONDS
        for group in (first, last):
            for child in group:
                child.signal_group(child.recipe.stop_signal)
            while time.monotonic() < deadline and any(child.alive for child in group):
                time.sleep(0.05)
            for child in group:
                child.signal_group(signal.SIGKILL)
                if child.process is not None:
                    child.process.wait()
        self.children = []
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Within, Ctrl-C and SIGTERM ask for the stop; at the end, whatever happened, all stops."""

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.stopping = True

        before = {n: signal.signal(n, ask) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)


def known_host() -> str:
    """A host name that the web process answers to."""
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"]
    return "localhost" if "localhost" in names or not names else names[0]


def check_disk(folder: Path) -> None:
    """Raise EmbeddedError when the data folder's disk is all but full."""
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise EmbeddedError(
            f"Only {free // 1024**2} MB are free where {folder} lies, and {NEEDED_BYTES // 1024**2}"
            f" MB are needed: free some space, or choose another data folder with SRT_DATA_DIR."
        )
