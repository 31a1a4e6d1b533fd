"""Pushing to a hub: over the real client, to a hub of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from refinement.models import Export, Push
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from refinement.services.exports import create_export, write_export
from refinement.services.pushes import create_push, push_export
from tests.review_room import TIPS_RESPONSE, make_room
from tests.services.fake_hub import TOKEN, Hub, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import SettingsWrapper


@pytest.fixture(autouse=True)
def nobody_is_woken() -> Iterator[None]:
    """The tests do the work themselves, without a broker to wait for."""
    with delivered_to(lambda *_: None):
        yield


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_TOKEN_TEAM", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # what our hub stores is plain Git LFS
        yield hub


@pytest.fixture
def export(transactional_db: None, tmp_path: Path, settings: SettingsWrapper) -> Export:
    settings.MEDIA_ROOT = tmp_path / "files"
    room = make_room()
    room.add(response=TIPS_RESPONSE)
    made = create_export(run=room.run, user=room.owner, options={})
    write_export(export_id=made.pk)
    made.refresh_from_db()
    return made


def pushed(export: Export, variable: str = "HF_TOKEN_TEAM") -> Push:
    push = create_push(
        export=export, user=None, repository="me/pairs", private=True, token_variable=variable
    )
    push_export(push_id=push.pk)
    push.refresh_from_db()
    return push


def test_all_files_arrive_in_one_commit(hub: Hub, export: Export) -> None:
    push = pushed(export)
    assert (push.status, push.error) == (Push.Status.DONE, "")
    assert push.url == f"{hub.url}/datasets/me/pairs/commit/abc"
    folder = Path(export.file.path).parent
    assert hub.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert hub.made[0]["name"] == "pairs"
    assert hub.made[0].get("private") or hub.made[0].get("visibility") == "private"
    assert hub.message == f"Export {export.pk} of First pass"


def test_a_wrong_token_is_said(hub: Hub, export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN_TEAM", "hf_wrong")
    push = pushed(export)
    assert push.status == Push.Status.FAILED
    assert push.error == (
        "The hub does not know the token in HF_TOKEN_TEAM. Make a new one and try again."
    )
    assert not hub.files


def test_a_missing_token_is_said(hub: Hub, export: Export) -> None:
    push = pushed(export, "HF_TOKEN_NOBODY")
    assert push.error == (
        "The variable HF_TOKEN_NOBODY is not set where the workers run. Set it and try again."
    )


@pytest.mark.parametrize(
    ("repository", "variable", "said"),
    [
        ("pairs", "HF_TOKEN", "is no name of a repository"),
        ("../x/y", "HF_TOKEN", "is no name of a repository"),
        ("me/pairs", "SRT_SECRET_KEY", "begins with HF_TOKEN_"),
    ],
)
def test_names_are_looked_at(export: Export, repository: str, variable: str, said: str) -> None:
    with pytest.raises(ServiceError, match=said):
        create_push(export=export, user=None, repository=repository, token_variable=variable)
    assert not Push.objects.exists()
