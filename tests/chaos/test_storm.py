"""The short form of ``make chaos``: every part of an installation meets something once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.environment import REPOSITORY


@pytest.mark.processes
@pytest.mark.timeout(900)
def test_nothing_comes_of_a_storm() -> None:
    command = [sys.executable, "-m", "tests.chaos.storm"]
    done = subprocess.run(
        [*command, "--samples", "20", "--faults", "7", "--seed", "2"],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
