from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import (
    Gemma3TextConfig,
    GPT2Config,
    MambaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from refinement.method.spans import Span
from tests.method.plain_loop import PlainLoop
from tests.method.test_student import means, plain_means, random_spans
from tests.method.tiny_student import load_tiny_student, reload

if TYPE_CHECKING:
    from pathlib import Path

    from refinement.method.student import Student

SIZES: dict[str, Any] = {
    "vocab_size": 384,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.4,
}


def alike(count: int = 12, *, longest: int = 90) -> list[Span]:
    """Spans of which half begin with the same 30 tokens, as those of one template do."""
    spans = random_spans(count, longest=longest)
    beginning = tuple(range(30))
    return spans + [Span(beginning + span.ids[:50], min(span.targets, 5)) for span in spans]


def through(student: Student, monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of what goes through the model from now on."""
    shapes: list[torch.Size] = []

    def note(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        shapes.append(inputs["input_ids"].shape)

    student._model.base_model.register_forward_pre_hook(note, with_kwargs=True)
    return shapes


@pytest.mark.parametrize(
    ("config", "packed"),
    [
        (None, True),
        (Qwen2Config(**SIZES), True),
        (Qwen3Config(**SIZES), True),
        (GPT2Config(vocab_size=384, n_embd=32, n_layer=2, n_head=4, n_positions=128), True),
        # Every second layer sees the last 32 tokens only: longer sequences take the other way.
        (
            Gemma3TextConfig(
                **SIZES, sliding_window=32, layer_types=["sliding_attention", "full_attention"]
            ),
            True,
        ),
        (MistralConfig(**SIZES, sliding_window=32), True),
        # Recurrent: what stands before in a pack would reach into the next sequence.
        (MambaConfig(vocab_size=384, hidden_size=32, num_hidden_layers=2), False),
    ],
    ids=["llama", "qwen2", "qwen3", "gpt2", "gemma3", "mistral", "mamba"],
)
def test_either_way_gives_the_losses_of_one_sequence_a_pass(
    config: Any, packed: bool, tmp_path: Path
) -> None:
    student = load_tiny_student(tmp_path, config=config)
    spans = alike()
    expected = plain_means(PlainLoop(tmp_path), spans)

    assert (student._packed is not None) is packed
    for budget in (2048, 150):
        student.budget = budget
        assert means(student, spans) == pytest.approx(expected, abs=1e-5)
    student._packed = None
    assert means(student, spans) == pytest.approx(expected, abs=1e-5)


def test_packed_nothing_is_padded_and_what_begins_alike_goes_through_once(
    tiny: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    beginning = tuple(range(40))
    spans = [Span((*beginning, *range(50 + n, 60 + n)), 5) for n in range(4)]
    shapes = through(tiny, monkeypatch)

    tiny.span_losses(spans)

    assert shapes == [torch.Size((1, 40 + 4 * 9))]
    assert tiny.forward_tokens == 4 * 49  # counted as if by itself, so that ways can be compared


def test_a_sequence_beyond_the_window_is_padded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = load_tiny_student(tmp_path, config=MistralConfig(**SIZES, sliding_window=32))
    shapes = through(student, monkeypatch)

    student.span_losses([Span(tuple(range(n)), 3) for n in (20, 21, 33, 34)])

    assert shapes == [torch.Size((1, 16 + 3 + 4 + 16)), torch.Size((1, 33))]


def test_packed_in_bfloat16_is_as_near_as_padded(tiny_folder: Path, tiny: Student) -> None:
    student = reload(tiny_folder, dtype="bfloat16")
    spans = alike()
    expected = means(tiny, spans)

    assert student._packed is not None
    assert means(student, spans) == pytest.approx(expected, rel=0.1)
