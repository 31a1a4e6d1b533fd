"""Run a program that must not outlive its parent: python -m refinement.embedded.leash PARENT CMD…

On Linux the kernel kills a leashed program when the parent dies, even by ``kill -9``. It is set in
the child between fork and exec, by a program of its own, since the parent may have threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def leashed(command: list[str]) -> list[str]:
    """The command line that runs ``command`` on a leash of this process, and of this thread."""
    return [sys.executable, "-m", "refinement.embedded.leash", str(os.getpid()), *command]


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the leash was on
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
