"""One supervised process: started on a leash, restarted with back-off, stopped as a group."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from refinement.embedded.leash import leashed

BACK_OFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
STEADY_SECONDS = 60.0  # a child that lived this long starts over with the shortest wait
LOG_KEEP_BYTES = 10 * 1024**2


@dataclass(frozen=True)
class Recipe:
    """What a child is called and how it is started."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM


class Child:
    """A process that shall live until ``stop``. Its output goes to a log file of its own."""

    def __init__(self, recipe: Recipe, log_dir: Path) -> None:
        self.recipe = recipe
        self.log_path = log_dir / f"{recipe.name.replace(' ', '-')}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.started_at = 0.0
        self.restart_at: float | None = None

    def start(self) -> None:
        """Start it. Raises OSError when the log or the program cannot be opened."""
        self.restart_at = None
        self.started_at = time.monotonic()
        with self._open_log() as log:
            self.process = subprocess.Popen(
                leashed(self.recipe.command),
                env=os.environ | self.recipe.environment,
                cwd=Path(__file__).resolve().parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops us
            )

    def _open_log(self) -> IO[bytes]:
        """Append; a log that has grown large is set aside, one generation of it."""
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_KEEP_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        return self.log_path.open("ab")

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def plan_restart(self) -> str | None:
        """If it has just died, plan its restart and say so in a line; else ``None``."""
        if self.process is None or self.restart_at is not None or self.alive:
            return None
        lived = time.monotonic() - self.started_at
        self.failures = 1 if lived > STEADY_SECONDS else self.failures + 1
        wait = BACK_OFF_SECONDS[min(self.failures, len(BACK_OFF_SECONDS)) - 1]
        self.restart_at = time.monotonic() + wait
        self.signal_group(signal.SIGKILL)  # what it may have left behind
        return (
            f"{self.recipe.name} died ({describe_exit(self.process.returncode)}), "
            f"starting it again in {wait:g} s; its log is {self.log_path}"
        )

    @property
    def restart_is_due(self) -> bool:
        return self.restart_at is not None and time.monotonic() >= self.restart_at

    def signal_group(self, number: int) -> None:
        """Send a signal to the child and all that it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):  # gone already, which is what was wanted
                os.killpg(self.process.pid, number)

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, for a message."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - 4000))
            tail = log.read().decode(errors="replace")
        return "\n".join(tail.strip().splitlines()[-lines:])


def describe_exit(returncode: int) -> str:
    """``-9`` is "signal 9"; ``1`` is "status 1"."""
    return f"signal {-returncode}" if returncode < 0 else f"status {returncode}"
