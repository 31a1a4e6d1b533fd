"""Compiled layers give the same. Here only up to the graph; a GPU's own tests are beside this."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from refinement.method.compiling import compile_layers, leave_layers
from tests.method.test_student import means, random_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.method.student import Student


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[CompileCounter]:
    """Counts the graphs that a compiler is given, and runs them as they are."""
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    yield counter
    torch.compiler.reset()


def test_layers_are_compiled_once_for_all_sizes_and_layers(
    tiny: Student, graphs: CompileCounter
) -> None:
    spans = random_spans(12)
    expected = means(tiny, spans)

    compile_layers(tiny._model)
    first = means(tiny, spans)
    count = graphs.frame_count
    tiny.budget = 150
    again = means(tiny, spans)

    assert count > 0
    assert graphs.frame_count == count
    assert first == pytest.approx(expected, abs=1e-5)
    assert again == pytest.approx(expected, abs=1e-5)


def test_layers_can_be_left_as_they_were(tiny: Student, graphs: CompileCounter) -> None:
    compile_layers(tiny._model)
    leave_layers(tiny._model)

    tiny.span_losses(random_spans(3))

    assert graphs.frame_count == 0
