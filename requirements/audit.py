"""Known vulnerabilities of the locked versions, by pip-audit from OSV: ``make audit``.

It needs the network, for two questions a package to osv.dev; nothing is installed or sent but
names and versions. Ends with 0 (none known), 1 (some are) or 2 (nobody answered).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).resolve().parent
LISTS = ("everything.lock", "torch.txt")


def _lists() -> str:
    return "\n".join((FOLDER / name).read_text() for name in LISTS)


def main(options: list[str]) -> int:
    """``options`` are handed on to pip-audit."""
    # Without the hashes: where one has some, pip-audit wants them of all.
    pins = "\n".join(re.findall(r"^\w[^\\\n]*==[^\\\n]*", _lists(), re.MULTILINE))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text(pins)
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "-r", str(path)]
        command += ["--vulnerability-service", "osv", "--progress-spinner", "off", *options]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
    if "vulnerability feed" in done.stderr or "ConnectionError" in done.stderr:
        print("Nobody could be asked for known vulnerabilities: osv.dev does not answer from here.")
        return 2
    told = [line for line in done.stderr.splitlines() if "hash" not in line]  # its advice
    print(done.stdout + "\n".join(told))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
