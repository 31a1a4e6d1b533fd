"""Order sequences by length and pack them into batches that fit a budget of padded tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def pack(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Indices of ``lengths`` in batches of at most ``budget`` tokens, padding counted.

    Longest first: memory runs out in the first batch or never, and neighbours in length waste the
    least padding. A sequence longer than the budget makes a batch of its own. Every index is in
    exactly one batch.
    """
    batches: list[list[int]] = []
    room = 0  # how many more rows fit into the last batch
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if room == 0:
            batches.append([])
            room = max(1, budget // max(1, lengths[index]))
        batches[-1].append(index)
        room -= 1
    return batches
