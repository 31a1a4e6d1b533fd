"""The policies that a run has had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.models import PolicyChange

if TYPE_CHECKING:
    from refinement.models import Run

MOST_SHOWN = 20


def policy_history(run: Run) -> list[PolicyChange]:
    """The latest changes first."""
    return list(PolicyChange.objects.filter(run=run).select_related("user")[:MOST_SHOWN])
