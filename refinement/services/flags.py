"""Flags on pairs: one person marks, anybody may take the mark away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.models import Flag
from refinement.services import audit

if TYPE_CHECKING:
    from refinement.models import RunSample, User


def toggle_flag(*, run_sample: RunSample, user: User) -> bool:
    """Flag a pair, or take its flag away; whether it is flagged now."""
    if Flag.objects.filter(run_sample=run_sample).delete()[0]:
        audit.record("pair.unflagged", run_sample, user=user)
        return False
    Flag.objects.get_or_create(run_sample=run_sample, defaults={"user": user})
    audit.record("pair.flagged", run_sample, user=user)
    return True
