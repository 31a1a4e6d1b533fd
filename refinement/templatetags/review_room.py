"""Figures, marks and bars of the review room."""

from __future__ import annotations

import math

from django import template
from django.utils.translation import gettext, gettext_noop

from refinement.selectors.queue import Mark
from refinement.templatetags.refinement_ui import local
from refinement.verdict_words import in_their_words

register = template.Library()
register.filter("in_their_words", in_their_words)

_LABELS = {
    Mark.KEPT: gettext_noop("kept"),
    Mark.DROPPED: gettext_noop("left out"),
    Mark.FAILED: gettext_noop("failed"),
    Mark.WORKING: gettext_noop("in work"),
}
_GLYPHS = {Mark.KEPT: "✓", Mark.DROPPED: "–", Mark.FAILED: "!", Mark.WORKING: "…"}
_WIDE_MARGIN = 0.15  # a margin that fills two thirds of the bar


@register.filter
def mark_label(mark: Mark) -> str:
    return gettext(_LABELS[mark])


@register.filter
def mark_glyph(mark: Mark) -> str:
    """A shape beside the colour, for those who do not see the hue."""
    return _GLYPHS[mark]


@register.filter
def figure(value: float | None, digits: int = 2) -> str:
    """A ratio or loss with fixed digits, so that columns line up; a dash where there is none."""
    return "–" if value is None else local(value, digits)


@register.filter
def margin_width(margin: float | None) -> str:
    """Percent of the bar. Grows fast where calls are close, where it matters, and never ends."""
    if margin is None:
        return "0"
    return f"{100 * (1 - math.exp(-max(margin, 0.0) / _WIDE_MARGIN)):.1f}"


@register.filter
def in_percent(share: float) -> str:
    """A share of one in whole percent; 100 only when all of it is there."""
    return f"{min(int(100 * share + 0.5), 100 if share == 1 else 99)} %"
