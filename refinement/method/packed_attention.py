"""Causal attention within each segment of a pack: sequences that lie end to end in one row.

On a CPU the segments are attended to one after the other; on a GPU, where such a loop would leave
it idle, all at once by the FlashAttention that torch brings, which knows half precision only.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKED = "srt_packed"  # its name in transformers


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens [start, end) of a pack, which see themselves and those of [shared, shared_end)."""

    start: int
    end: int
    shared: int = 0
    shared_end: int = 0

    @property
    def own(self) -> int:
        return self.end - self.start

    @property
    def seen(self) -> int:
        return self.own + self.shared_end - self.shared


@dataclass(frozen=True, slots=True)
class Borders:
    """The segments as FlashAttention wants them. ``seen``: (keys,) places in the pack, end to end.

    ``queries`` and ``keys``: (segments + 1,) where the queries and keys of each begin.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    seen: torch.Tensor
    most_queries: int
    most_keys: int


class _Layout(threading.local):
    """The pack that this thread has in the model."""

    segments: Sequence[Segment] = ()
    borders: Borders | None = None


_layout = _Layout()


@contextmanager
def laid_out(segments: Sequence[Segment], device: torch.device) -> Iterator[None]:
    """What goes through the model meanwhile is a pack of ``segments``, in order without gaps."""
    _layout.segments = segments
    _layout.borders = _borders(segments, device) if device.type == "cuda" else None
    try:
        yield
    finally:
        _layout.segments, _layout.borders = (), None


def to_device(values: Sequence[int], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A tensor of ``values``, for which a GPU need not wait."""
    tensor = torch.tensor(values, dtype=dtype)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _borders(segments: Sequence[Segment], device: torch.device) -> Borders:
    queries, keys = [part.own for part in segments], [part.seen for part in segments]
    seen = [
        place
        for part in segments
        for stretch in (range(part.shared, part.shared_end), range(part.start, part.end))
        for place in stretch
    ]
    return Borders(
        queries=to_device([0, *accumulate(queries)], device, torch.int32),
        keys=to_device([0, *accumulate(keys)], device, torch.int32),
        seen=to_device(seen, device, torch.int64),
        most_queries=max(queries),
        most_keys=max(keys),
    )


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

    Raises NotImplementedError for attention that is more than a softmax.
    """
    if any(options.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        raise NotImplementedError("attention with more than a softmax")
    if _layout.borders is not None:
        return _at_once(query, key, value, _layout.borders, scaling), None
    return _one_by_one(query, key, value, scaling), None


def _at_once(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    borders: Borders,
    scaling: float | None,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn  # as of torch 2.10

    together = query.shape[1] // key.shape[1]
    key, value = (tensor[0].transpose(0, 1)[borders.seen] for tensor in (key, value))
    if together > 1:
        key, value = (tensor.repeat_interleave(together, dim=1) for tensor in (key, value))
    out: Any = varlen_attn(
        query[0].transpose(0, 1),
        key,
        value,
        borders.queries,
        borders.keys,
        borders.most_queries,
        borders.most_keys,
        scale=scaling,
        window_size=(-1, 0),  # causal; the last query is beside the last key
    )
    attended: torch.Tensor = out[None]
    return attended


def _one_by_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """The queries of a shared part are computed again with each segment that continues it.

    So plain causal attention will do and no mask is built; what comes of them is dropped.
    """
    grouped = query.shape[1] != key.shape[1]
    out = query.new_empty((1, query.shape[2], query.shape[1], value.shape[3]))
    for part in _layout.segments:
        before = part.shared_end - part.shared
        q, k, v = (_joined(tensor, part) for tensor in (query, key, value))
        attended = functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        out[:, part.start : part.end] = attended[:, :, before:].transpose(1, 2)
    return out


def _joined(tensor: torch.Tensor, part: Segment) -> torch.Tensor:
    own = tensor[:, :, part.start : part.end]
    if part.shared == part.shared_end:
        return own
    return torch.cat((tensor[:, :, part.shared : part.shared_end], own), dim=2)


AttentionInterface.register(PACKED, packed_attention)
