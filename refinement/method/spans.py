"""What a student is asked for: losses of the last tokens of a sequence."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Span:
    """Token ids of which the last ``targets`` are to be predicted from all before them.

    ``ranked``: the targets' ranks are asked for too.
    """

    ids: tuple[int, ...]
    targets: int
    ranked: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.targets < len(self.ids):
            raise ValueError(f"{self.targets} targets in a span of {len(self.ids)} tokens")

    @property
    def width(self) -> int:
        """Tokens that go through the student: the last one is only ever a target."""
        return len(self.ids) - 1

    def key(self) -> bytes:
        """A short stand-in for the span, to find it again by."""
        values = array("q", (self.ranked, self.targets, *self.ids))
        return blake2b(values.tobytes(), digest_size=16).digest()


def _no_losses() -> array[float]:
    return array("f")


def _no_ranks() -> array[int]:
    return array("i")


@dataclass(frozen=True, slots=True)
class SpanLoss:
    """Mean loss in nats a target token; ``None`` where the student gave NaN or infinity.

    ``tokens`` holds each target's own loss. ``ranks``, where they were asked for: how many words of
    the vocabulary the student held for likelier than the target, plus one.
    """

    mean: float | None
    tokens: array[float] = field(default_factory=_no_losses)
    ranks: array[int] = field(default_factory=_no_ranks)


class LossCache:
    """Losses lately computed, of ``size`` tokens at most: the least recently used goes first."""

    def __init__(self, size: int = 4_000_000) -> None:
        self._size = size
        self._held = 0
        self._losses: OrderedDict[bytes, SpanLoss] = OrderedDict()

    def __len__(self) -> int:
        return len(self._losses)

    def get(self, key: bytes) -> SpanLoss | None:
        loss = self._losses.get(key)
        if loss is not None:
            self._losses.move_to_end(key)
        return loss

    def put(self, key: bytes, loss: SpanLoss) -> None:
        before = self._losses.pop(key, None)
        self._losses[key] = loss
        self._held += _weight(loss) - (_weight(before) if before else 0)
        while self._held > self._size:
            self._held -= _weight(self._losses.popitem(last=False)[1])


def _weight(loss: SpanLoss) -> int:
    return len(loss.tokens) + 50  # what an entry takes beside its losses, in floats
