"""From hidden states to losses and ranks, a slice of the targets at a time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from refinement.method.spans import SpanLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.spans import Span

LOGITS_A_SLICE = 2**24  # elements held at once in float32: 64 MiB


@dataclass(frozen=True, slots=True)
class TargetLosses:
    """Float32 losses (targets,) in nats, and the ranks (ranked,) of the first of them."""

    losses: torch.Tensor
    ranks: torch.Tensor

    def split(self, spans: Sequence[Span]) -> list[SpanLoss]:
        """To each span its own. Those that want ranks come first in ``spans``."""
        losses, ranks = self.losses.cpu(), self.ranks.cpu()
        parts = torch.split(losses, [span.targets for span in spans])
        ranked = iter(torch.split(ranks, [span.targets for span in spans if span.ranked]))
        return [
            _span_loss(part, next(ranked) if span.ranked else ranks[:0])
            for span, part in zip(spans, parts, strict=True)
        ]


def target_losses(
    states: torch.Tensor,
    labels: torch.Tensor,
    *,
    ranked: int,
    head: torch.nn.Linear | None = None,
) -> TargetLosses:
    """Losses of ``labels`` (targets,), and the ranks of the first ``ranked`` of them.

    ``states``: hidden states (targets, hidden) that ``head`` turns into logits (targets, words);
    without ``head`` they are logits already. A rank is one more than the number of words whose
    logit is above the label's.
    """
    losses = torch.empty(len(labels), dtype=torch.float32, device=labels.device)
    ranks = torch.empty(ranked, dtype=torch.int32, device=labels.device)
    words = states.shape[1] if head is None else head.weight.shape[0]
    step = max(1, LOGITS_A_SLICE // words)
    for start in _starts(len(labels), ranked, step):
        end = min(start + step, len(labels) if start >= ranked else ranked)
        logits = (head(states[start:end]) if head else states[start:end]).float()
        own = logits.gather(1, labels[start:end, None])  # (slice, 1)
        losses[start:end] = torch.logsumexp(logits, dim=1) - own[:, 0]
        if start < ranked:
            ranks[start:end] = (logits > own).sum(1, dtype=torch.int32) + 1
    return TargetLosses(losses=losses, ranks=ranks)


def _starts(targets: int, ranked: int, step: int) -> list[int]:
    """Of slices that lie on one side of ``ranked``."""
    return [*range(0, ranked, step), *range(ranked, targets, step)]


def _span_loss(losses: torch.Tensor, ranks: torch.Tensor) -> SpanLoss:
    mean = float(losses.sum() / len(losses))
    finite = mean - mean == 0.0
    return SpanLoss(
        mean=mean if finite else None,
        tokens=array("f", losses.tolist()),
        ranks=array("i", ranks.tolist()),
    )
