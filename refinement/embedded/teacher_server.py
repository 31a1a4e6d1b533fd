"""The embedded teacher: an OpenAI-compatible server with the embedded model.

It is ``transformers serve`` where the processor multiplies bfloat16, else llama.cpp.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.leash import leashed
from refinement.embedded.model import ensure_embedded_model, ensure_teacher_file
from refinement.embedded.ports import check_port_is_free, http_answers, wait_until
from refinement.embedded.processor import multiplies_bfloat16, runs_llama_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 120.0


def teacher_address() -> tuple[str, int]:
    """Host and port that ``settings.EMBEDDED_TEACHER_URL`` names."""
    parts = urlsplit(settings.EMBEDDED_TEACHER_URL)
    return parts.hostname or "127.0.0.1", parts.port or 80


def is_llama() -> bool:
    """Whether llama.cpp serves: as ``settings.EMBEDDED_TEACHER_SERVER`` says, else the quicker."""
    chosen = settings.EMBEDDED_TEACHER_SERVER
    if chosen == "auto":
        installed = find_spec("xllamacpp") is not None
        return installed and runs_llama_wheel() and not multiplies_bfloat16()
    return bool(chosen == "llama")


def teacher_command(model_dir: Path) -> list[str]:
    """The command line, by the interpreter that runs us, so that no PATH is needed."""
    host, port = teacher_address()
    command = _llama_command() if is_llama() else _transformers_command(model_dir)
    return [sys.executable, *command, "--host", host, "--port", str(port)]


def _llama_command() -> list[str]:
    return ["-m", "refinement.embedded.llama_server", str(ensure_teacher_file())]


def _transformers_command(model_dir: Path) -> list[str]:
    """The cache is bounded: 1500 blocks of 16 tokens hold sixteen conversations of 1500 tokens.

    Left to itself the server takes gigabytes; with 64 blocks of it, sixteen requests blocked each
    other for good. bfloat16 halves the time of each token, but only where the processor multiplies
    in it: emulated, it took eight times as long as float32.
    """
    return [
        str(Path(sys.executable).with_name("transformers")),
        *("serve", str(model_dir)),
        "--continuous-batching",
        *("--dtype", "bfloat16" if multiplies_bfloat16() else "float32"),
        *("--device", "cpu"),
        *("--cb-block-size", "16"),
        *("--cb-num-blocks", "1500"),
        *("--cb-max-batch-tokens", "512"),
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
        wait_until(teacher_answers, process=process, seconds=START_SECONDS)
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
    program = Path(sys.executable).with_name("transformers")
    if not (find_spec("xllamacpp") if is_llama() else program.exists()):
        raise EmbeddedError(
            "The embedded teacher is not installed: run `pip install 'srt-web[embedded]'`, "
            "or start without it (--no-teacher)."
        )
