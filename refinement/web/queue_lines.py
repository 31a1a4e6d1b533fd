"""The lines of the queue as the page shows them.

There are forty of them on every page of the room: put together by a template, they took longer than
the pair itself, and with each part escaped, three times as long as with those alone that need it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from refinement.selectors.queue import Mark
from refinement.templatetags.review_room import figure, margin_width, mark_glyph, mark_label
from refinement.visible_text import visible

if TYPE_CHECKING:
    from refinement.models import Run
    from refinement.selectors.queue import QueueLine

_LINE = (
    '<li><a class="line line--{mark}{decided}" href="{url}"{current} title="{title}&#10;{tip}">'
    '<span class="line__mark" aria-hidden="true">{glyph}</span>'
    '<span class="line__number num">{number}</span> '
    '<span class="line__title" dir="auto">{title}</span>'
    '<span class="visually-hidden">, {said}</span>'
    '<svg class="line__margin" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
    '<rect width="{width}" height="1"/></svg></a></li>'
)
_CURRENT = ' aria-current="true"'


def lines_html(run: Run, lines: list[QueueLine], carry: str) -> SafeString:
    """List items. ``carry`` is the query string of their links."""
    before, after = reverse("review-pair", args=[run.pk, 0]).rsplit("0", 1)
    after = escape(after + carry)
    no_comparison = escape(gettext("No comparison was made"))
    closest = escape(gettext("Closest margin %(margin)s"))
    by_a_person = escape(gettext("by a person"))
    labels = {mark: escape(mark_label(mark)) for mark in Mark}

    def drawn(line: QueueLine) -> str:
        margin = line.margin
        said = labels[line.mark]
        return _LINE.format(
            mark=line.mark,
            decided=" line--decided" if line.decided else "",
            url=f"{before}{line.run_sample_id}{after}",
            current=_CURRENT if line.current else "",
            title=escape(visible(line.title)),
            tip=no_comparison if margin is None else closest % {"margin": figure(margin, 3)},
            glyph=mark_glyph(line.mark),
            number=line.position + 1,
            said=f"{said} {by_a_person}" if line.decided else said,
            width=margin_width(margin),
        )

    return SafeString("\n".join(map(drawn, lines)))
