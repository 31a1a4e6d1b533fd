"""What FlashAttention is given on a GPU, tried with a plain reading of what it does with it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from refinement.method import packed_attention as packed
from refinement.method.packed_attention import Segment

# Two sequences that begin with the same five tokens, one by itself, and two more that share three.
SEGMENTS = [
    Segment(0, 5),
    Segment(5, 9, 0, 5),
    Segment(9, 10, 0, 5),
    Segment(10, 17),
    Segment(17, 20),
    Segment(20, 22, 17, 20),
    Segment(22, 28, 17, 20),
]
CPU = torch.device("cpu")


def plain_varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    queries: torch.Tensor,
    keys: torch.Tensor,
    most_queries: int,
    most_keys: int,
    *,
    scale: float,
    window_size: tuple[int, int],
) -> torch.Tensor:
    """Softmax by softmax; the last query of a sequence stands beside its last key."""
    assert window_size == (-1, 0)
    out = torch.empty_like(query)
    for (start, end), (first, last) in zip(pairwise(queries), pairwise(keys), strict=True):
        assert end - start <= most_queries
        assert last - first <= most_keys
        for place in range(start, end):
            seen = slice(first, last - (end - 1 - place))
            weights = torch.einsum("hd,khd->hk", query[place], key[seen]) * scale
            out[place] = torch.einsum("hk,khd->hd", weights.softmax(1), value[seen])
    return out


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_all_segments_at_once_are_as_one_by_one(
    key_heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", plain_varlen)
    torch.manual_seed(0)
    tokens, size = SEGMENTS[-1].end, 8
    query = torch.randn(1, 4, tokens, size)
    key, value = torch.randn(2, 1, key_heads, tokens, size)
    borders = packed._borders(SEGMENTS, CPU)

    with packed.laid_out(SEGMENTS, CPU):
        expected, _ = packed.packed_attention(None, query, key, value, None, scaling=0.3)
    found = packed._at_once(query, key, value, borders, 0.3)

    assert found.shape == (1, tokens, 4, size)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("option", ["softcap", "s_aux", "position_bias"])
def test_attention_that_is_more_than_a_softmax_is_refused(option: str) -> None:
    options: dict[str, Any] = {option: 1.0}
    with pytest.raises(NotImplementedError):
        packed.packed_attention(None, *torch.zeros(3, 1, 1, 1, 8), None, **options)


def test_a_pack_is_forgotten_when_it_is_through() -> None:
    with pytest.raises(ZeroDivisionError), packed.laid_out(SEGMENTS, CPU):
        raise ZeroDivisionError

    assert not packed._layout.segments
