"""Which sequences go through the student together, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.spans import Span

SHORTEST_SHARED = 8  # tokens; below that the bookkeeping costs more than it saves
KEPT_SHARED = 0.75  # a group takes a further member while so much of its shared part stays


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


@dataclass(frozen=True, slots=True)
class Group:
    """Spans, by index, whose first ``shared`` tokens are the same: they go through once."""

    members: tuple[int, ...]
    shared: int


def share(spans: Sequence[Span]) -> list[Group]:
    """Group spans that begin alike; every index is in exactly one group.

    In the order of their tokens, so that those which begin alike are neighbours. A span joins its
    neighbours where the group loses little of what it shares by it. The state that predicts the
    first target is never shared: it has to be there once a span.
    """
    groups: list[Group] = []
    members: list[int] = []
    shared = 0
    for index in sorted(range(len(spans)), key=lambda i: spans[i].ids):
        span = spans[index]
        own = span.width - span.targets
        if members:
            common = min(own, _common(spans[members[0]].ids, span.ids, shared))
            keeps = common >= SHORTEST_SHARED and (
                len(members) == 1 or common >= KEPT_SHARED * shared
            )
            if keeps:
                members.append(index)
                shared = common
                continue
            groups.append(_group(members, shared))
        members, shared = [index], own
    if members:
        groups.append(_group(members, shared))
    return groups


def fill(spans: Sequence[Span], *, budget: int) -> list[list[int]]:
    """Indices of ``spans`` in packs of at most ``budget`` tokens, what is shared counted once.

    A span longer than the budget makes a pack of its own. Every index is in exactly one pack.
    """
    packs: list[list[int]] = []
    room = 0
    for group in share(spans):
        begun = False  # whether the shared part is in the pack already
        for index in group.members:
            own = spans[index].width - group.shared
            needed = own if begun else own + group.shared
            if not packs or needed > room:
                packs.append([])
                room, needed = budget, own + group.shared
            packs[-1].append(index)
            room -= needed
            begun = True
    return packs


def _group(members: list[int], shared: int) -> Group:
    return Group(tuple(members), shared if len(members) > 1 else 0)


def _common(one: Sequence[int], other: Sequence[int], limit: int) -> int:
    """How many tokens both begin with, ``limit`` at most."""
    for place in range(min(limit, len(one), len(other))):
        if one[place] != other[place]:
            return place
    return min(limit, len(one), len(other))
