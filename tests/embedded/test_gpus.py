from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.embedded import gpus
from refinement.embedded.services import Plan, recipes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def three_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"):
        (tmp_path / address).mkdir()
    monkeypatch.setattr(gpus, "DRIVER", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def devices(count: int) -> list[str | None]:
    started = recipes(Plan(teacher=False, students=count), model_dir=None)
    students = [recipe for recipe in started if recipe.name.startswith("student")]
    return [recipe.environment.get("CUDA_VISIBLE_DEVICES") for recipe in students]


def test_each_student_process_sees_a_gpu_of_its_own(three_gpus: None) -> None:
    assert devices(3) == ["0", "1", "2"]
    assert devices(4) == ["0", "1", "2", "0"]


def test_what_the_environment_names_is_divided(
    three_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-8f3c")
    assert devices(2) == ["2", "GPU-8f3c"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # none shall be used
    assert devices(1) == [None]


def test_without_a_gpu_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "DRIVER", tmp_path / "none")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices(2) == [None, None]
