"""From hidden states to losses and ranks, a slice of the targets at a time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from refinement.method.spans import SpanLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.spans import Span

# Logits held at once: 64 MiB in float32. A GPU is not filled by so few.
LOGITS_A_SLICE = {"cpu": 2**24, "cuda": 2**28}


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
    compiled: bool = False,
) -> TargetLosses:
    """Losses of ``labels`` (targets,), and the ranks of the first ``ranked`` of them.

    ``states``: hidden states (targets, hidden) that ``head`` turns into logits (targets, words);
    without ``head`` they are logits already. A rank is one more than the number of words whose
    logit is above the label's. ``compiled``: logits are read once instead of once a step.
    """
    loss, loss_and_rank = _compiled() if compiled else (_losses, _losses_and_ranks)
    losses = torch.empty(len(labels), dtype=torch.float32, device=labels.device)
    ranks = torch.empty(ranked, dtype=torch.int32, device=labels.device)
    words = states.shape[1] if head is None else head.weight.shape[0]
    step = max(1, LOGITS_A_SLICE.get(labels.device.type, LOGITS_A_SLICE["cuda"]) // words)
    for start in _starts(len(labels), ranked, step):
        end = min(start + step, len(labels) if start >= ranked else ranked)
        logits = head(states[start:end]) if head else states[start:end]
        if start < ranked:
            losses[start:end], ranks[start:end] = loss_and_rank(logits, labels[start:end])
        else:
            losses[start:end] = loss(logits, labels[start:end])
    return TargetLosses(losses=losses, ranks=ranks)


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of ``labels`` (targets,) by ``logits`` (targets, words)."""
    logits = logits.float()
    return torch.logsumexp(logits, dim=1) - logits.gather(1, labels[:, None])[:, 0]


def _losses_and_ranks(
    logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = logits.float()
    own = logits.gather(1, labels[:, None])  # (targets, 1)
    ranks = (logits > own).sum(1, dtype=torch.int32) + 1
    return torch.logsumexp(logits, dim=1) - own[:, 0], ranks


@cache
def _compiled() -> tuple[Any, Any]:
    return torch.compile(_losses, dynamic=True), torch.compile(_losses_and_ranks, dynamic=True)


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
