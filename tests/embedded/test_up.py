"""manage.py up with real processes: it keeps all of them alive and leaves none behind."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from refinement.embedded.ports import http_answers
from tests.embedded.running import Command, running, wait_until_gone

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

pytestmark = pytest.mark.processes

WORKERS = ("teacher", "student", "default")
REFUSED = 1


@pytest.fixture
def folder(tmp_path: Path, new_database: Path) -> Path:
    """A data folder as it is after a first start."""
    shutil.copyfile(new_database, tmp_path / "srt.sqlite3")
    return tmp_path


def test_it_starts_everything_outlives_a_kill_mends_it_and_stops_all_of_it(tmp_path: Path) -> None:
    with running(tmp_path, "up", "--no-teacher") as up:
        ready = up.wait_for("Ready at")
        assert f"http://127.0.0.1:{up.web_port}/" in ready
        assert "createsuperuser" in up.wait_for("Nobody can log in yet")
        assert http_answers("/healthz", port=up.web_port)
        assert http_answers("/readyz", port=up.web_port)

        children = up.children()
        assert len(children) >= 6  # broker, web and its worker, three workers, beat
        if sys.platform == "linux":  # the one system that ends the children of the killed
            up.process.kill()
            up.process.wait()
            assert wait_until_gone(children) == []

    with running(tmp_path, "up", "--no-teacher") as up:  # with nothing in its way
        up.wait_for("Ready at")

        second = up.start()
        output = second.communicate(timeout=60)[0]
        assert second.returncode == REFUSED
        assert "already up on this data folder" in output
        assert str(up.process.pid) in output
        assert "Traceback" not in output

        worker = up.child("teacher", "-Q")
        worker.send_signal(signal.SIGKILL)
        died = up.wait_for("teacher worker died")
        assert died.startswith("teacher worker died (signal 9), starting it again in 1 s")
        wait_for_another(up, worker, "teacher", "-Q")

        children = up.children()
        assert len(children) >= 6
        asked_at = time.monotonic()
        up.process.send_signal(signal.SIGTERM)
        assert "Stopped." in up.rest()
        assert up.process.wait(1) == 0
        assert time.monotonic() - asked_at < 10
        assert wait_until_gone(children, seconds=0.1) == []


def wait_for_another(up: Command, before: psutil.Process, *words: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [c for c in up.children() if set(words) <= set(c.cmdline()) and c != before]
        if found:
            return
        time.sleep(0.05)
    raise AssertionError(f"no new process with {words}; its log: {up.log('teacher-worker.log')}")


def test_ctrl_c_while_it_starts_stops_it_quietly(folder: Path) -> None:
    with running(folder, "up", "--no-teacher") as up:
        up.wait_for("Starting")
        while not (folder / "logs" / "web.log").exists():
            assert up.process.poll() is None
            time.sleep(0.01)
        children = up.children()
        up.process.send_signal(signal.SIGINT)
        output = up.rest()
        assert "Stopped." in output
        assert "Traceback" not in output
        assert up.process.wait(5) == 0
        assert wait_until_gone(children, seconds=0.1) == []


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        ("web_port", "so the web server cannot start there"),
        ("broker_port", "so the broker cannot start there"),
        ("teacher_port", "so the embedded teacher cannot start there"),
    ],
)
def test_a_port_in_use_is_one_sentence_that_says_what_to_do(
    tmp_path: Path, which: str, sentence: str
) -> None:
    with running(tmp_path, "up") as up:
        # Taken in good time: the check comes after Python and Django are loaded.
        with socket.create_server(("127.0.0.1", getattr(up, which))):
            output = up.rest()
        assert up.process.wait(10) == REFUSED
        assert sentence in output
        assert f"Port {getattr(up, which)} is in use" in output
        assert any(remedy in output for remedy in ("--port", "SRT_BROKER_URL", "--no-teacher"))
        assert "Traceback" not in output


def test_a_data_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with running(tmp_path / "file" / "data", "up", "--no-teacher") as up:
        output = up.rest()
        assert up.process.wait(10) == REFUSED
        assert "SRT_DATA_DIR" in output
        assert "Traceback" not in output
