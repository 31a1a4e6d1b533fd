"""Tiny students, built once a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.method.plain_loop import PlainLoop
from tests.method.tiny_student import reload, save_tiny_student

if TYPE_CHECKING:
    from pathlib import Path

    from refinement.method.student import Student


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_bos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("tiny-bos"), bos=True)


@pytest.fixture
def tiny(tiny_folder: Path) -> Student:
    """A tiny student without a BOS, its cache empty."""
    return reload(tiny_folder)


@pytest.fixture(scope="session")
def shared_tiny(tiny_folder: Path) -> Student:
    """For tests that draw many examples. Its budget and cache are anybody's."""
    return reload(tiny_folder)


@pytest.fixture
def tiny_bos(tiny_bos_folder: Path) -> Student:
    return reload(tiny_bos_folder)


@pytest.fixture(scope="session")
def plain(tiny_folder: Path) -> PlainLoop:
    return PlainLoop(tiny_folder)


@pytest.fixture(scope="session")
def plain_bos(tiny_bos_folder: Path) -> PlainLoop:
    return PlainLoop(tiny_bos_folder)
