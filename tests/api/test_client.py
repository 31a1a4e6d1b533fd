"""What the client says where the server refuses, or is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from srt_client import Client, Problem
from tests.environment import REPOSITORY, free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_what_the_server_refuses_is_said_in_its_words(live_server: object) -> None:
    client = Client(str(live_server), "srt_nonsense")
    with pytest.raises(Problem, match="Send a token that lives") as refused:
        client.me()
    assert refused.value.status == 401


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(Problem, match="cannot be reached") as away:
        Client(f"http://127.0.0.1:{free_port()}", "srt_x").me()
    assert away.value.status == 0
    with pytest.raises(ValueError, match="is no address"):
        Client("ftp://example.org", "srt_x")


def test_the_command_without_a_server_or_a_file(tmp_path: Path) -> None:
    def srt(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "srt_client.cli", *arguments],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], **env},
            capture_output=True,
            text=True,
            check=False,
        )

    assert srt("watch", "1").returncode == 2
    missing = srt("upload", "none.jsonl", "--project", "1", SRT_URL="http://x", SRT_TOKEN="t")
    assert (missing.returncode, missing.stderr) == (
        1,
        "srt: none.jsonl: No such file or directory\n",
    )
