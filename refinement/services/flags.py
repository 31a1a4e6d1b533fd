"""Flags on pairs: one person marks, anybody may take the mark away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.models import Flag
from refinement.services import audit

if TYPE_CHECKING:
    from refinement.models import RunSample, User


def toggle_flag(*, run_sample: RunSample, user: User) -> bool:
    """Flag a pair, or take its flag away; whether it is flagged now."""
    flagged = not Flag.objects.filter(run_sample=run_sample).exists()
    set_flag(run_sample=run_sample, user=user, flagged=flagged)
    return flagged


def set_flag(*, run_sample: RunSample, user: User, flagged: bool) -> None:
    """Twice the same is once."""
    if flagged:
        Flag.objects.get_or_create(run_sample=run_sample, defaults={"user": user})
    else:
        Flag.objects.filter(run_sample=run_sample).delete()
    audit.record("pair.flagged" if flagged else "pair.unflagged", run_sample, user=user)
