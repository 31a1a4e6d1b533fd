"""What is checked before anything starts. The rest is in test_up.py, with real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from refinement.embedded import supervisor as module
from refinement.embedded.errors import EmbeddedError
from refinement.embedded.services import Plan, recipes
from refinement.embedded.supervisor import Supervisor, check_disk, known_host
from refinement.services.dispatch import QUEUES

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_that_is_all_but_full_is_said_before_anything_starts(
    tmp_path: Path, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(100, 97, 3 * 1024**2))
    with pytest.raises(EmbeddedError, match=r"Only 3 MB are free .* free some space, or choose"):
        Supervisor(Plan(), say=print).start()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "up.lock"]


def test_a_disk_with_room_is_no_reason_to_stop(tmp_path: Path) -> None:
    check_disk(tmp_path)


def test_every_queue_has_a_worker_and_there_are_as_many_students_as_wanted(tmp_path: Path) -> None:
    commands = [r.command for r in recipes(Plan(students=3, teacher=False), model_dir=None)]
    served = [c[c.index("-Q") + 1] for c in commands if "-Q" in c]
    assert set(served) == set(QUEUES.values())
    assert served.count("student") == 3
    names = [c[c.index("--hostname") + 1] for c in commands if "--hostname" in c]
    assert len(set(names)) == len(names)


def test_a_broker_on_another_machine_is_not_started_here(settings: SettingsWrapper) -> None:
    settings.BROKER_URL = "redis://valkey.example.org:6379/0"
    assert "broker" not in [r.name for r in recipes(Plan(teacher=False), model_dir=None)]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("0.0.0.0", "http://127.0.0.1:8000/"),  # noqa: S104
        ("::", "http://[::1]:8000/"),
        ("192.168.1.7", "http://192.168.1.7:8000/"),
    ],
)
def test_the_address_shown_is_one_that_a_browser_can_open(host: str, url: str) -> None:
    assert Plan(host=host).url == url


@pytest.mark.parametrize(
    ("allowed", "asked_as"),
    [
        (["localhost", "example.org"], "localhost"),
        (["*"], "localhost"),
        ([".example.org"], "example.org"),
    ],
)
def test_readiness_is_asked_under_a_name_that_is_allowed(
    allowed: list[str], asked_as: str, settings: SettingsWrapper
) -> None:
    settings.ALLOWED_HOSTS = allowed
    assert known_host() == asked_as
