"""The small groups of links above a pair's texts: versions, layouts, what to compare with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.utils.translation import gettext, gettext_noop

from refinement.templatetags.refinement_ui import mid_sentence
from refinement.web.review_state import Layout

if TYPE_CHECKING:
    from refinement.selectors.review import PairView, Version
    from refinement.web.review_state import RoomState

_LAYOUTS = {
    Layout.DIFF: gettext_noop("Diff"),
    Layout.SIDE: gettext_noop("Side by side"),
    Layout.PLAIN: gettext_noop("Plain"),
    Layout.TOKENS: gettext_noop("Tokens"),
}


@dataclass(frozen=True, slots=True)
class Tab:
    """A link of a small group, of which one is current."""

    label: str
    url: str
    current: bool
    version: Version | None = None


def version_tabs(view: PairView, shown: Version, state: RoomState) -> list[Tab]:
    return [
        Tab(
            label=version.name,
            url=state.here(of=version.key) or "?",
            current=version is shown,
            version=version,
        )
        for version in view.versions
    ]


def layout_tabs(shown: Version, state: RoomState) -> list[Tab]:
    return [
        Tab(
            label=gettext(label),
            url=replace(state, layout=layout).here() or "?",
            current=layout is (_alone(state.layout) if shown.is_original else state.layout),
        )
        for layout, label in _LAYOUTS.items()
        if not (shown.is_original and layout in (Layout.DIFF, Layout.SIDE))
    ]


def _alone(layout: Layout) -> Layout:
    """How the original is shown: there is nothing to compare it with."""
    return Layout.TOKENS if layout is Layout.TOKENS else Layout.PLAIN


def base_tabs(view: PairView, shown: Version, state: RoomState) -> list[Tab]:
    """What the version on screen may be compared with, where there is a choice."""
    parent = view.version(shown.parent_key)
    if shown.is_original or parent is None or parent.is_original:
        return []
    by_parent = state.against == "parent"
    return [
        Tab(
            label=gettext("the original"), url=state.here(against="") or "?", current=not by_parent
        ),
        Tab(
            label=mid_sentence(parent.name),
            url=state.here(against="parent"),
            current=by_parent,
        ),
    ]
