"""The short form of ``make chaos``: every part of an installation meets something once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.environment import REPOSITORY
from tests.pipeline.conftest import student_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["student_path"]  # a fixture


@pytest.mark.processes
@pytest.mark.timeout(900)
def test_nothing_comes_of_a_storm(student_path: Path) -> None:
    """Each kind of blow: killed, frozen, restarted, a wrong clock, a full disk."""
    command = [sys.executable, "-m", "tests.chaos.storm", "--student", str(student_path)]
    done = subprocess.run(
        [*command, "--samples", "20", "--faults", "7", "--seed", "11499"],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
