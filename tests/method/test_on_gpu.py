"""The student on a GPU, where there is one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import torch

from tests.method.test_passes import SIZES, alike
from tests.method.test_student import means
from tests.method.tiny_student import load_tiny_student, reload

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

LARGER = {**SIZES, "hidden_size": 128, "head_dim": 32}


def test_sequences_are_packed_and_layers_compiled(tmp_path: Path) -> None:
    from transformers import Qwen2Config

    exact = load_tiny_student(tmp_path, config=Qwen2Config(**LARGER))
    student = reload(tmp_path, dtype="bfloat16", device="cuda")
    spans = alike()
    expected = means(exact, spans)

    assert student._packed is not None
    assert student._packed.compiled
    for budget in (32_768, 300):
        student.budget = budget
        assert means(student, spans) == pytest.approx(expected, rel=0.05)
    found = student.span_losses(spans)
    for one, other in zip(found, exact.span_losses(spans), strict=True):
        assert len(one.ranks) == len(other.ranks)


def test_float32_is_as_exact_as_on_a_cpu(tmp_path: Path) -> None:
    exact = load_tiny_student(tmp_path)
    student = reload(tmp_path, dtype="float32", device="cuda")
    spans = alike()

    assert student._packed is None  # FlashAttention knows half precision only
    assert means(student, spans) == pytest.approx(means(exact, spans), abs=1e-4)


def test_what_cannot_be_compiled_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler here")

    exact = load_tiny_student(tmp_path)
    monkeypatch.setattr(torch.nn.Module, "compile", broken)
    student = reload(tmp_path, dtype="bfloat16", device="cuda")
    spans = alike()

    assert student._packed is not None
    assert not student._packed.compiled
    assert means(student, spans) == pytest.approx(means(exact, spans), rel=0.1)


def test_a_full_gpu_halves_the_budget_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import LlamaConfig

    config = LlamaConfig(vocab_size=64_000, hidden_size=512, num_hidden_layers=2)
    load_tiny_student(tmp_path, config=config)
    student = reload(tmp_path, dtype="bfloat16", device="cuda")
    spans = alike(400, longest=400)
    expected = means(student, spans)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    filling = torch.empty(free - 2**28, dtype=torch.uint8, device="cuda")

    with caplog.at_level(logging.WARNING):
        found = means(student, spans)
    del filling

    assert "out of memory" in caplog.text
    assert found == pytest.approx(expected, rel=0.05)
