"""`manage.py up` and `manage.py demo` as real processes, watched through what they print."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from tests.environment import REPOSITORY, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Command:
    """A management command in a data folder and on ports of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.web_port, self.broker_port, self.teacher_port = (free_port() for _ in range(3))
        self.arguments = [*arguments, "--port", str(self.web_port)]
        self.lines: list[str] = []
        self.process = self.start()

    def start(self, *more: str) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        env |= {
            "SRT_DATA_DIR": str(self.folder),
            "SRT_BROKER_URL": f"redis://127.0.0.1:{self.broker_port}/0",
            "SRT_EMBEDDED_TEACHER_URL": f"http://127.0.0.1:{self.teacher_port}/v1",
            "PYTHONUNBUFFERED": "1",
        }
        return subprocess.Popen(
            [sys.executable, "manage.py", *self.arguments, *more],
            cwd=REPOSITORY,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, words: str) -> str:
        """The next line with ``words``. Fails, with all that was said, when the output ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if words in line:
                return self.lines[-1]
        raise AssertionError(f"no line with {words!r} in:\n" + "\n".join(self.lines))

    def rest(self) -> str:
        """What it says until its end."""
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def children(self) -> list[psutil.Process]:
        """All processes under it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """The one whose command line has all of ``words``."""
        [found] = [c for c in self.children() if set(words) <= set(c.cmdline())]
        return found

    def log(self, name: str) -> str:
        return (self.folder / "logs" / name).read_text(errors="replace")


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Command]:
    """A command that is stopped, if need be by force, with all that it started."""
    command = Command(folder, *arguments)
    children: list[psutil.Process] = []
    try:
        yield command
        if command.process.poll() is None:
            children = command.children()
            command.process.send_signal(signal.SIGTERM)
            command.rest()
            command.process.wait(15)
    finally:
        if command.process.poll() is None:
            children = command.children()
            command.process.kill()
            command.process.wait()
        for child in children:
            if child.is_running():
                child.kill()


def wait_until_gone(processes: list[psutil.Process], seconds: float = 10) -> list[psutil.Process]:
    """Those that still run after all this time; the dead whom nobody has buried do not count."""
    _, alive = psutil.wait_procs(
        [process for process in processes if not is_dead(process)], timeout=seconds
    )
    return [process for process in alive if not is_dead(process)]


def is_dead(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
