"""Fixtures of the pipeline's tests: a tiny student, a teacher that listens, a world around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.services.dispatch import delivered_to
from tests.fake_teacher import FakeTeacher
from tests.pipeline.tiny_student import save_tiny_student
from tests.pipeline.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def student_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_student(tmp_path_factory.mktemp("student"))


@pytest.fixture
def teacher() -> Iterator[FakeTeacher]:
    with FakeTeacher() as server:
        yield server


@pytest.fixture
def wakes() -> Iterator[list[tuple[str, int]]]:
    """The messages of this process, which go nowhere else."""
    sent: list[tuple[str, int]] = []
    with delivered_to(lambda task, object_id: sent.append((task, object_id))):
        yield sent


@pytest.fixture
def world(db: None, student_path: Path, wakes: list[tuple[str, int]]) -> World:
    return make_world(student_path=student_path)


@pytest.fixture
def taught_world(
    transactional_db: None,
    student_path: Path,
    teacher: FakeTeacher,
    wakes: list[tuple[str, int]],
) -> World:
    """A world whose teacher answers. Its loops use threads, so transactions are real."""
    return make_world(student_path=student_path, base_url=teacher.base_url)
