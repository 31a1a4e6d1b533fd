"""A model's layers compiled, so that a GPU does in one go what lies between two matrix products.

The layers of a model are alike, so they are one compilation of some seconds, once a process. Sizes
are left open: no batch compiles anew. torch's own TORCH_COMPILE_DISABLE=1 turns it off.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface

from refinement.method.packed_attention import PACKED, packed_attention


def compile_layers(model: Any) -> None:
    """Compile each layer when it is first used. The packed attention runs between, as it is."""
    import torch._inductor.config as inductor  # seconds, which only a GPU is worth

    inductor.compile_threads = 1  # helpers of the compiler would outlive a worker that is killed
    AttentionInterface.register(PACKED, torch.compiler.disable(packed_attention))  # type: ignore[no-untyped-call]
    for layer in _layers(model):
        layer.compile(dynamic=True)


def leave_layers(model: Any) -> None:
    """Let them run as they are, after ``compile_layers``."""
    for layer in _layers(model):
        layer._compiled_call_impl = None  # noqa: SLF001 -- torch offers no way back


def _layers(model: Any) -> list[Any]:
    """The longest list of modules in the model: its layers, in every architecture."""
    lists = [part for part in model.base_model.modules() if isinstance(part, torch.nn.ModuleList)]
    return list(max(lists, key=len, default=[]))
