"""Lines that say what they are about, one event a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.environment import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import django, logging
django.setup()
from srt_web.logs import about
log = logging.getLogger("refinement.test")
with about(run=7):
    with about(sample=31):
        log.warning("the teacher said %s", "no\\n2026 CRITICAL forged\\x1b[2J")
    log.warning("über “all”")
log.warning("nothing")
"""


def lines(folder: Path, form: str) -> list[str]:
    env = os.environ | {"SRT_LOG_FORMAT": form, "SRT_DATA_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_lines_for_people(tmp_path: Path) -> None:
    first, second, third = lines(tmp_path, "line")
    assert first.endswith("[run=7 sample=31] the teacher said no␊2026 CRITICAL forged␛[2J")
    assert second.endswith("refinement.test [run=7] über “all”")
    assert third.endswith("refinement.test nothing")


def test_lines_for_machines(tmp_path: Path) -> None:
    first, second, third = map(json.loads, lines(tmp_path, "json"))
    assert (first["srt_run"], first["srt_sample"], first["levelname"]) == (7, 31, "WARNING")
    assert first["message"].startswith("the teacher said no\n2026")
    assert second["message"] == "über “all”"
    assert "srt_run" not in third
