"""Real processes for tests: workers, beat, a broker and a teacher that may be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from celery import Celery

from refinement.embedded.ports import wait_for_port
from refinement.embedded.valkey import valkey_command
from refinement.services.dispatch import QUEUES
from tests.environment import REPOSITORY, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POOLS = {
    "teacher": ["--pool=threads", "--concurrency=8"],
    "student": ["--pool=threads", "--concurrency=1"],
    "default": ["--pool=threads", "--concurrency=4"],
}


@dataclass
class Cluster:
    """All processes of one installation, started and killed by name."""

    folder: Path
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = self.env | {
            "SRT_BROKER_URL": f"redis://127.0.0.1:{self.port}/0",
            "SRT_DATA_DIR": str(self.folder / "data"),
            "SRT_LEASE_SECONDS": "3",
            "SRT_SWEEP_SECONDS": "1",
            "SRT_STUDENT_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
            "PYTHONFAULTHANDLER": "1",
        }

    def start_broker(self) -> None:
        self._start("broker", valkey_command(folder=self.folder / "valkey", port=self.port))
        wait_for_port(self.port, process=self.running["broker"])

    def start_worker(self, queue: str) -> None:
        name = f"{queue}@test"
        self._start(queue, [*celery("worker"), "-Q", queue, "-n", name, *POOLS[queue]])

    def start_beat(self) -> None:
        self._start("beat", [*celery("beat")])

    def start_teacher(self, *options: str) -> str:
        """The teacher's base URL. Its requests are in ``teacher_log``."""
        port = free_port()
        script = str(REPOSITORY / "tests" / "fake_teacher.py")
        log = ["--log", str(self.folder / "requests.jsonl"), "--port", str(port)]
        self._start("fake", [sys.executable, script, *log, *options])
        wait_for_port(port, process=self.running["fake"])
        return f"http://127.0.0.1:{port}/v1"

    def send(self, task: str, object_id: int) -> None:
        """A message to the workers, as the web process would send it."""
        with Celery(broker=self.env["SRT_BROKER_URL"], set_as_current=False) as app:
            app.send_task(task, args=[object_id], queue=QUEUES[task])

    def requests(self) -> list[dict[str, Any]]:
        lines = (self.folder / "requests.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def kill(self, name: str) -> None:
        """kill -9: nothing is cleaned up."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def terminate(self, name: str, *, seconds: float) -> int:
        """SIGTERM; its exit status. Fails if it takes longer, with what its threads do then."""
        process = self.running[name]
        process.terminate()
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # which faulthandler answers with their stacks
            process.wait()
            raise AssertionError(f"{name} did not stop in {seconds} s\n{self.logs()}") from None
        del self.running[name]
        return status

    def freeze(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
        for process in self.running.values():
            process.wait()
        self.running.clear()

    def logs(self) -> str:
        """The end of every process's log, with room for the stacks of all threads."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-200:]
            parts.append("\n".join([f"-- {path.name}", *lines]))
        return "\n".join(parts)

    def wait_for(self, what: str, condition: Callable[[], bool], seconds: float = 180) -> None:
        """Look until it is so. Fails, with all logs, when that takes far too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {what}\n{self.logs()}"
            time.sleep(0.05)

    def _start(self, name: str, command: list[str], *, user: str | None = None) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=os.environ | self.env,
                cwd=REPOSITORY,
                user=user,
            )


def celery(command: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "srt_web", command, "--loglevel=INFO"]
