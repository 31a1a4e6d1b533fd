"""One supervised process, for real: its leash, its log, its restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from refinement.embedded import child as module
from refinement.embedded.child import BACK_OFF_SECONDS, Child, Recipe
from refinement.embedded.leash import leashed
from tests.embedded.running import wait_until_gone

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str, name: str = "a child") -> Recipe:
    return Recipe(name, [sys.executable, "-c", code])


def wait_for_end(child: Child) -> None:
    assert child.process is not None
    child.process.wait(30)


def test_what_it_prints_goes_to_a_log_of_its_name(tmp_path: Path) -> None:
    child = Child(python("import sys; print('out'); print('err', file=sys.stderr)"), tmp_path)
    child.start()
    wait_for_end(child)
    assert sorted((tmp_path / "a-child.log").read_text().split()) == ["err", "out"]


def test_a_death_is_told_once_with_its_cause_and_the_waits_grow(tmp_path: Path) -> None:
    child = Child(python("raise SystemExit(3)"), tmp_path)
    told = []
    for _ in range(8):
        child.start()
        wait_for_end(child)
        told.append(child.plan_restart() or "")
        assert child.plan_restart() is None
        assert not child.restart_is_due
    waits = [*BACK_OFF_SECONDS, BACK_OFF_SECONDS[-1], BACK_OFF_SECONDS[-1]]
    for line, wait in zip(told, waits, strict=True):
        assert line.startswith(f"a child died (status 3), starting it again in {wait:g} s")


def test_one_that_ran_long_starts_over_with_the_shortest_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(python("raise SystemExit(1)"), tmp_path)
    child.failures = 5
    monkeypatch.setattr(module, "STEADY_SECONDS", 0.0)
    child.start()
    wait_for_end(child)
    assert "starting it again in 1 s" in (child.plan_restart() or "")


def test_a_signal_is_named_and_what_it_started_goes_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(p.pid, flush=True)\n"
        "p.wait()"
    )
    child = Child(python(code), tmp_path)
    child.start()
    while not child.log_path.read_text().endswith("\n"):
        time.sleep(0.01)
    grandchild = psutil.Process(int(child.log_path.read_text()))
    assert child.process is not None
    child.process.send_signal(signal.SIGKILL)
    wait_for_end(child)
    assert "died (signal 9)" in (child.plan_restart() or "")
    assert wait_until_gone([grandchild]) == []


def test_a_log_that_has_grown_large_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_KEEP_BYTES", 10)
    child = Child(python("print('a new beginning')"), tmp_path)
    child.log_path.write_text("much that was said before\n")
    child.start()
    wait_for_end(child)
    assert child.log_path.read_text() == "a new beginning\n"
    assert child.log_path.with_suffix(".log.1").read_text() == "much that was said before\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of the killed")
def test_a_leashed_program_dies_with_its_parent() -> None:
    code = (
        "import subprocess, sys\n"
        "from refinement.embedded.leash import leashed\n"
        "sleeper = [sys.executable, '-c', 'print(1, flush=True); import time; time.sleep(600)']\n"
        "p = subprocess.Popen(leashed(sleeper), stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\n"
        "print(p.pid, flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        sleeper = psutil.Process(int(parent.stdout.readline()))
        assert sleeper.is_running()
        parent.kill()
    assert wait_until_gone([sleeper]) == []


def test_a_leash_of_a_parent_that_is_gone_starts_nothing() -> None:
    command = leashed([sys.executable, "-c", "print('started')"])
    command[command.index(str(os.getpid()))] = "1"
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
