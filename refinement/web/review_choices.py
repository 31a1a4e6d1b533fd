"""What can be chosen for a pair at the foot of the room, and what the editor starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.templatetags.refinement_ui import mid_sentence

if TYPE_CHECKING:
    from refinement.models import Candidate
    from refinement.selectors.review import PairView, Version
    from refinement.web.review_forms import Draft


@dataclass(frozen=True, slots=True)
class Offer:
    """A candidate that can be taken with one press. The one on screen also answers to ``c``."""

    candidate: Candidate
    name: str
    keys: list[str]
    on_screen: bool


def offers_of(view: PairView, shown: Version) -> list[Offer]:
    """The two rewrites, and the edit on screen if it is one."""
    target = view.primary if shown.is_original else shown
    offers = []
    for version in view.versions:
        if version.candidate is None or (version.is_edit and version is not target):
            continue
        keys = [] if version.is_edit else [version.key]
        offers.append(
            Offer(
                candidate=version.candidate,
                name=version.name,
                keys=[*keys, "c"] if version is target else keys,
                on_screen=version is target,
            )
        )
    return offers


def edit_base(view: PairView, shown: Version, draft: Draft | None) -> Version:
    """What the editor started from: what was on screen, or what a refused edit says."""
    if draft is None:
        return shown
    started = (v for v in view.versions if v.candidate and v.candidate.pk == draft.base)
    return next(started, view.original)


def accept_means(view: PairView) -> str:
    """What accepting the verdict would keep, in a word or two; empty where there is none."""
    if not view.judged or view.verdict is None:
        return ""
    if not view.verdict.kept:
        return "nothing"
    return next(mid_sentence(version.name) for version in view.versions if version.chosen)
