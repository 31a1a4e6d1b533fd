"""What embedded mode consists of: the recipes of the supervised processes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from refinement.embedded.child import Recipe
from refinement.embedded.errors import EmbeddedError
from refinement.embedded.gpus import gpu_of
from refinement.embedded.ports import check_port_is_free
from refinement.embedded.teacher_server import (
    require_serving_packages,
    teacher_address,
    teacher_command,
)
from refinement.embedded.valkey import valkey_command

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# Torch in teacher and student shares the cores: its threads sleep while they wait for each other.
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Plan:
    """What ``manage.py up`` was asked for."""

    host: str = "127.0.0.1"
    port: int = 8000
    teacher: bool = True
    students: int = 1

    @property
    def reach(self) -> str:
        """The address at which this machine reaches the web server."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        host = f"[{self.reach}]" if ":" in self.reach else self.reach
        return f"http://{host}:{self.port}/"


def check_ports(plan: Plan) -> None:
    """Raise EmbeddedError, naming the remedy, when a port that we need is taken."""
    check_port_is_free(
        plan.port, host=plan.host, what="the web server", remedy="choose another with --port."
    )
    if owns_broker():
        check_port_is_free(
            broker_port(),
            host="127.0.0.1",
            what="the broker",
            remedy="set SRT_BROKER_URL to another port of 127.0.0.1.",
        )
    if plan.teacher:
        host, port = teacher_address()
        check_port_is_free(
            port,
            host=host,
            what="the embedded teacher",
            remedy="set SRT_EMBEDDED_TEACHER_URL to another port (manage.py up also starts with "
            "--no-teacher).",
        )


def owns_broker() -> bool:
    """Whether the broker's address is ours to serve: one on this machine."""
    return urlsplit(settings.BROKER_URL).hostname in LOOPBACK


def broker_port() -> int:
    return urlsplit(settings.BROKER_URL).port or 6379


def recipes(plan: Plan, *, model_dir: Path | None) -> Iterator[Recipe]:
    """The processes in the order of their start. The broker comes first: all others want it."""
    if owns_broker():
        folder = Path(settings.DATA_DIR) / "valkey"
        yield Recipe("broker", valkey_command(folder=folder, port=broker_port()))
    if plan.teacher:
        if model_dir is None:
            raise EmbeddedError("The embedded teacher needs the embedded model.")
        require_serving_packages()
        yield Recipe("teacher server", teacher_command(model_dir), QUIET_THREADS)
    yield Recipe("web", web_command(plan))
    yield Recipe("teacher worker", worker_command("teacher", concurrency=8))
    for number in range(plan.students):
        name = "student worker" if plan.students == 1 else f"student worker {number + 1}"
        command = worker_command("student", concurrency=1, number=number)
        yield Recipe(name, command, QUIET_THREADS | gpu_of(number))
    yield Recipe("default worker", worker_command("default", concurrency=2))
    yield Recipe("beat", [*celery(), "beat", "--loglevel", "warning"])


def celery() -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "srt_web"]


def worker_command(queue: str, *, concurrency: int, number: int = 0) -> list[str]:
    """A worker of one queue, its work in threads so that it answers while it works."""
    suffix = f"-{number + 1}" if number else ""
    return [
        *celery(),
        "worker",
        *("-Q", queue),
        *("--pool", "threads"),
        *("--concurrency", str(concurrency)),
        *("--hostname", f"{queue}{suffix}@%h"),
        *("--loglevel", "warning"),
        "--without-mingle",
        "--without-gossip",
    ]


def web_command(plan: Plan) -> list[str]:
    host = f"[{plan.host}]" if ":" in plan.host else plan.host
    return [
        *(sys.executable, "-m", "gunicorn", "srt_web.wsgi"),
        *("--bind", f"{host}:{plan.port}"),
        *("--worker-class", "gthread"),
        *("--workers", "1"),
        *("--threads", "8"),
        *("--timeout", "120"),
        *("--graceful-timeout", "5"),
        *("--log-level", "warning"),
        "--no-control-socket",
    ]
