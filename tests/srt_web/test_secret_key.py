"""The secret key: one for a data folder, private, and never a default."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from srt_web.secret_key import read_or_make_secret_key
from tests.environment import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    key = read_or_make_secret_key(tmp_path / "var")
    assert len(key) > 60
    assert read_or_make_secret_key(tmp_path / "var") == key
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    assert read_or_make_secret_key(tmp_path / "a") != read_or_make_secret_key(tmp_path / "b")


def test_all_who_begin_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(read_or_make_secret_key, [tmp_path / "var"] * 64))
    assert len(keys) == 1
    assert len(keys.pop()) > 60


def test_a_folder_that_cannot_be_used_ends_the_program_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit, match="SRT_DATA_DIR"):
        read_or_make_secret_key(tmp_path / "file" / "var")


def test_the_settings_take_it_where_no_other_is_given(tmp_path: Path) -> None:
    code = "from django.conf import settings; print(settings.SECRET_KEY)"
    env = {"SRT_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "srt_web.settings"}
    for given in ({}, {"SRT_SECRET_KEY": "one of my own"}):
        result = subprocess.run(
            [sys.executable, "-c", code],
            env=env | given,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        expected = given.get("SRT_SECRET_KEY") or (tmp_path / "secret_key").read_text()
        assert result.stdout.strip() == expected
