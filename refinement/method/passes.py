"""How a batch goes through the model: in rows with padding, or packed end to end.

Both give the state before each target. *Padded* works for every model: rows of like length, padded
at the right under causal attention, so that no token sees padding and no mask is needed. *Packed*
lays the sequences of a batch end to end in one row, what several begin with only once, and attends
within each: nothing is computed for padding, and a template's text goes through once a batch, not
once a pair. It replaces the model's attention function (``packed_attention.py``), so it is for
models that let it be replaced and that mix tokens nowhere else; whether a model is one is tried
when it is loaded.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

import torch

from refinement.method.batching import fill, pack, share
from refinement.method.compiling import compile_layers, leave_layers
from refinement.method.packed_attention import PACKED, Segment, laid_out, to_device
from refinement.method.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

# Settings that end what a token sees: longer sequences go the padded way, where the model's own
# masks are used.
WINDOWS = ("sliding_window", "attention_chunk_size", "window_size", "local_attention")
# What a model raises that cannot be packed, and a torch that brings no attention for packs.
UNPACKABLE = (NotImplementedError, RuntimeError, TypeError, ValueError, ImportError)


class Pass(Protocol):
    """One way through the model."""

    def batches(self, spans: Sequence[Span], budget: int) -> list[list[int]]:
        """Indices of ``spans``, each in one batch of ``budget`` tokens at most."""

    def states(self, spans: Sequence[Span]) -> torch.Tensor:
        """(targets, hidden) before each target of each span, in order; logits if so made."""


class Padded:
    """Rows of like length. ``logits``: run the model's own output layer too."""

    def __init__(self, model: Any, *, logits: bool) -> None:
        self._model = model
        self._logits = logits
        self.attention = model.config._attn_implementation

    def batches(self, spans: Sequence[Span], budget: int) -> list[list[int]]:
        return pack([span.width for span in spans], budget=budget)

    def states(self, spans: Sequence[Span]) -> torch.Tensor:
        width = max(span.width for span in spans)
        rows = torch.zeros((len(spans), width), dtype=torch.long)
        asked = torch.zeros((len(spans), width), dtype=torch.bool)
        for row, span in enumerate(spans):
            rows[row, : span.width] = torch.tensor(span.ids[:-1])
            asked[row, span.width - span.targets : span.width] = True
        use_attention(self._model, self.attention)
        device = self._model.device
        where = asked.flatten().nonzero().squeeze(1).to(device)  # (targets,)
        inputs = {"input_ids": rows.to(device), "use_cache": False}
        if self._logits:
            out: torch.Tensor = self._model(**inputs).logits
        else:
            out = self._model.base_model(**inputs).last_hidden_state
        return out.flatten(0, 1)[where]


class Packed:
    """One row, end to end."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.compiled = False  # whether the model's layers are

    def batches(self, spans: Sequence[Span], budget: int) -> list[list[int]]:
        return fill(spans, budget=budget)

    def states(self, spans: Sequence[Span]) -> torch.Tensor:
        ids: list[int] = []
        positions: list[int] = []
        segments: list[Segment] = []
        where: list[range] = [range(0)] * len(spans)
        for group in share(spans):
            head, shared_end = len(ids), len(ids) + group.shared
            if group.shared:
                ids += spans[group.members[0]].ids[: group.shared]
                positions += range(group.shared)
                segments.append(Segment(head, shared_end))
            for index in group.members:
                span, start = spans[index], len(ids)
                ids += span.ids[group.shared : -1]
                positions += range(group.shared, span.width)
                segments.append(Segment(start, len(ids), head, shared_end))
                where[index] = range(len(ids) - span.targets, len(ids))
        use_attention(self._model, PACKED)
        device = self._model.device
        places = [place for places in where for place in places]
        asked = to_device(places, device, torch.int64)
        with laid_out(segments, device):
            hidden: torch.Tensor = self._model.base_model(
                input_ids=to_device(ids, device, torch.int64)[None],
                position_ids=to_device(positions, device, torch.int64)[None],
                use_cache=False,
            ).last_hidden_state[0]  # (tokens, hidden)
        return hidden[asked]


def use_attention(model: Any, name: str) -> None:
    if model.config._attn_implementation != name:
        model.set_attn_implementation(name)


def packs(model: Any, padded: Padded) -> Packed | None:
    """The packed way, where the model's states come out the same by it; else ``None``.

    Tried with three sequences, two of which begin alike: another attention, recurrence, or
    anything else that reaches from one sequence into the next gives other states. On a GPU the
    layers are compiled, where that too gives the same.
    """
    words = model.get_output_embeddings().weight.shape[0]
    spans = [
        Span(tuple((step * n + start) % words for n in range(length)), 4)
        for step, start, length in ((7, 3, 26), (7, 3, 21), (5, 1, 17))
    ]
    expected = padded.states(spans)
    way = Packed(model)

    def compiled() -> torch.Tensor:
        compile_layers(model)
        return way.states(spans)

    try:
        if not _agree(lambda: way.states(spans), expected, or_raises=UNPACKABLE):
            return None
        if model.device.type == "cuda":
            # A compiler raises anything, and the layers also run as they are.
            way.compiled = _agree(compiled, expected, or_raises=(Exception,))
            if not way.compiled:
                leave_layers(model)
        return way
    finally:
        use_attention(model, padded.attention)


def _agree(
    find: Callable[[], torch.Tensor],
    expected: torch.Tensor,
    *,
    or_raises: tuple[type[Exception], ...],
) -> bool:
    """Whether states (targets, hidden) are found, and are the expected ones."""
    try:
        found = find()
    except or_raises as error:
        logger.info("sequences cannot go through the model so: %s", error)
        return False
    # As a whole, for single values of a state may be a hundred times the others.
    apart = float((found.float() - expected.float()).norm() / expected.float().norm())
    same = apart < (1e-3 if found.dtype == torch.float32 else 0.1)
    if not same:
        logger.info("the model's states are not the same so: %.3f apart", apart)
    return same


def packed_limit(model: Any) -> int:
    """The longest sequence, in tokens, of which every token sees the whole beginning."""
    config = model.config.get_text_config()
    windows = [getattr(config, name, None) for name in WINDOWS]
    return min((w for w in windows if isinstance(w, int) and w > 0), default=2**31)
