"""What a reviewer may know of a pair: blind, and before the colleagues' opinions are theirs to see.

The order of the sides follows from the plan's seed and the pair, so that a reload, a second
reviewer and what comes back all mean the same by "B".
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from refinement.selectors.opinions import current_opinions
from refinement.selectors.queue.filters import Show
from refinement.selectors.review_sharing import plan_of

if TYPE_CHECKING:
    from refinement.models import Opinion, ReviewPlan, Run, RunSample, User
    from refinement.selectors import access
    from refinement.selectors.review import PairView, Version

LETTERS = "ABCDEFGHI"
BLIND_SHOWS = (Show.UNDECIDED, Show.DECIDED, Show.ALL)
FIELDS = ("instruction", "input", "response")


def is_blind(plan: ReviewPlan, run_sample: RunSample) -> bool:
    """Blind until the pair has a decision that counts."""
    return plan.blind and run_sample.decision_id is None


def acts_need(run: Run) -> access.Role:
    """Who may act on whole lists. Under a blind plan owners: a list tells what verdicts say."""
    return "owner" if plan_of(run).blind else "reviewer"


def sides_of(view: PairView, plan: ReviewPlan) -> dict[str, Version]:
    """The different versions of a pair by letter, shuffled by the plan's seed; edits stand last."""
    seen: dict[tuple[str, ...], Version] = {}
    for version in view.versions:
        seen.setdefault(tuple(getattr(version.pair, name) for name in FIELDS), version)
    place = view.run_sample.position

    def rank(version: Version) -> tuple[bool, bytes]:
        key = f"{plan.seed}:{place}:{version.key}"
        return version.is_edit, hashlib.sha256(key.encode()).digest()

    return dict(zip(LETTERS, sorted(seen.values(), key=rank), strict=False))


def letter_of(sides: dict[str, Version], candidate_id: int | None) -> str:
    """Under which letter a candidate (``None``: the original) stands; empty if under none."""
    for letter, version in sides.items():
        if (version.candidate.pk if version.candidate else None) == candidate_id:
            return letter
    return ""


def visible_opinions(
    run_sample: RunSample, user: User, role: access.Role | None, plan: ReviewPlan
) -> list[Opinion]:
    """Those that a person may see now: their own; all of a decided pair; of a disputed one owners
    see all."""
    given = current_opinions(run_sample)
    complete = len(given) >= plan.reviewers_per_pair
    if run_sample.decision_id is not None or (complete and role == "owner"):
        return given
    return [opinion for opinion in given if opinion.user_id == user.pk]


def without_others_edits(
    view: PairView, user: User, role: access.Role | None, plan: ReviewPlan
) -> PairView:
    """Without the texts that colleagues wrote, while their opinions are none of this person's."""
    pair = view.run_sample
    if plan.reviewers_per_pair == 1 or pair.decision_id is not None:
        return view
    if role == "owner" and pair.opinions >= plan.reviewers_per_pair:
        return view
    kept = [
        version
        for version in view.versions
        if not version.is_edit
        or (version.candidate is not None and version.candidate.created_by_id == user.pk)
    ]
    return replace(view, versions=kept, by_key={version.key: version for version in kept})
