"""How a batch goes through the model: in rows with padding, or packed end to end.

Both give the state before each target. *Padded* works for every model: rows of like length, padded
at the right under causal attention, so that no token sees padding and no mask is needed. *Packed*
lays the sequences of a batch end to end in one row, what several begin with only once, and attends
within each: nothing is computed for padding, and a template's text goes through once a batch, not
once a pair. It replaces the model's attention function, so it is for models that let it be replaced
and that mix tokens nowhere else; whether a model is one is tried when it is loaded.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional
from transformers import AttentionInterface

from refinement.method.batching import fill, pack, share
from refinement.method.spans import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

PACKED = "srt_packed"
# Settings that end what a token sees: longer sequences go the padded way, where the model's own
# masks are used.
WINDOWS = ("sliding_window", "attention_chunk_size", "window_size", "local_attention")


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


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens [start, end) of a pack, which see themselves and those of [shared, shared_end)."""

    start: int
    end: int
    shared: int = 0
    shared_end: int = 0


class Packed:
    """One row, end to end."""

    def __init__(self, model: Any) -> None:
        self._model = model

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
        with _laid_out(segments):
            hidden: torch.Tensor = self._model.base_model(
                input_ids=torch.tensor([ids], device=device),
                position_ids=torch.tensor([positions], device=device),
                use_cache=False,
            ).last_hidden_state[0]  # (tokens, hidden)
        places = torch.tensor([place for places in where for place in places], device=device)
        return hidden[places]


def use_attention(model: Any, name: str) -> None:
    if model.config._attn_implementation != name:
        model.set_attn_implementation(name)


class _Layout(threading.local):
    """The segments of the pack that this thread has in the model."""

    segments: Sequence[Segment] = ()


_layout = _Layout()


class _laid_out:  # noqa: N801 -- read as a statement
    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments

    def __enter__(self) -> None:
        _layout.segments = self._segments

    def __exit__(self, *_: object) -> None:
        _layout.segments = ()


def packed_attention(
    _: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    __: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each segment: (1, heads, tokens, size) -> (1, tokens, heads, size).

    The queries of a shared part are computed again with each segment that continues it, so that
    plain causal attention will do and no mask is built; what comes of them is dropped.
    """
    if any(options.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        raise NotImplementedError("attention with more than a softmax")
    grouped = query.shape[1] != key.shape[1]
    out = query.new_empty((1, query.shape[2], query.shape[1], value.shape[3]))
    for part in _layout.segments:
        before = part.shared_end - part.shared
        q, k, v = (_joined(tensor, part) for tensor in (query, key, value))
        seen = functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        out[:, part.start : part.end] = seen[:, :, before:].transpose(1, 2)
    return out, None


def _joined(tensor: torch.Tensor, part: Segment) -> torch.Tensor:
    own = tensor[:, :, part.start : part.end]
    if part.shared == part.shared_end:
        return own
    return torch.cat((tensor[:, :, part.shared : part.shared_end], own), dim=2)


AttentionInterface.register(PACKED, packed_attention)


def packs(model: Any, padded: Padded) -> Packed | None:
    """The packed way, where the model's states come out the same by it; else ``None``.

    Tried with three sequences, two of which begin alike: another attention, recurrence, or
    anything else that reaches from one sequence into the next gives other states.
    """
    words = model.get_output_embeddings().weight.shape[0]
    spans = [
        Span(tuple((step * n + start) % words for n in range(length)), 4)
        for step, start, length in ((7, 3, 26), (7, 3, 21), (5, 1, 17))
    ]
    expected = padded.states(spans)
    way = Packed(model)
    try:
        found = way.states(spans)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        logger.info("sequences are padded, not packed: %s", error)
        return None
    finally:
        use_attention(model, padded.attention)
    # As a whole, for single values of a state may be a hundred times the others.
    apart = float((found.float() - expected.float()).norm() / expected.float().norm())
    if not apart < (1e-3 if model.dtype == torch.float32 else 0.1):
        logger.info("sequences are padded, not packed: the model's states are not the same")
        return None
    return way


def packed_limit(model: Any) -> int:
    """The longest sequence, in tokens, of which every token sees the whole beginning."""
    config = model.config.get_text_config()
    windows = [getattr(config, name, None) for name in WINDOWS]
    return min((w for w in windows if isinstance(w, int) and w > 0), default=2**31)
