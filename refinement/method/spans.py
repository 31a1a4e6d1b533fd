"""What a student is asked for: losses of the last tokens of a sequence."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Span:
    """Token ids of which the last ``targets`` are to be predicted from all before them."""

    ids: tuple[int, ...]
    targets: int

    def __post_init__(self) -> None:
        if not 0 < self.targets < len(self.ids):
            raise ValueError(f"{self.targets} targets in a span of {len(self.ids)} tokens")

    def key(self) -> bytes:
        """A short stand-in for the span, to find it again by."""
        return blake2b(array("q", (self.targets, *self.ids)).tobytes(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class SpanLoss:
    """Mean loss in nats a target token; ``None`` where the student gave NaN or infinity.

    ``tokens`` holds each target's own loss where it was asked for, else it is empty.
    """

    mean: float | None
    tokens: tuple[float, ...] = ()


class LossCache:
    """Losses lately computed, at most ``size`` of them: the least recently used goes first."""

    def __init__(self, size: int = 100_000) -> None:
        self._size = size
        self._losses: OrderedDict[bytes, SpanLoss] = OrderedDict()

    def __len__(self) -> int:
        return len(self._losses)

    def get(self, key: bytes) -> SpanLoss | None:
        loss = self._losses.get(key)
        if loss is not None:
            self._losses.move_to_end(key)
        return loss

    def put(self, key: bytes, loss: SpanLoss) -> None:
        self._losses[key] = loss
        self._losses.move_to_end(key)
        if len(self._losses) > self._size:
            self._losses.popitem(last=False)
