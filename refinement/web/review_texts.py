"""The middle of the room: the passages of a pair, as a diff, side by side or plain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, gettext_noop

from refinement.web.diff import Change, Segment, diff_words
from refinement.web.dress import SIGNS_FOR_BLANKS, dressed
from refinement.web.review_state import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.utils.safestring import SafeString

    from refinement.selectors.review import PairView, Version
    from refinement.web.dress import Part

LONG_CHARACTERS = 6_000  # folded, with the whole text in the page
LONG_LINES = 90
CUT_CHARACTERS = 40_000  # beyond it the rest is not even sent before it is asked for
TITLES = {
    "instruction": gettext_noop("Instruction"),
    "input": gettext_noop("Input"),
    "response": gettext_noop("Response"),
}


@dataclass(frozen=True, slots=True)
class Passage:
    """One field of a pair. ``old`` and ``new`` are the columns of the side-by-side layout.

    ``cut`` is how many characters the page leaves out, ``long`` whether it is folded.
    """

    field: str
    title: str
    whole: list[Segment]
    old: list[Segment]
    new: list[Segment]
    old_length: int
    new_length: int
    changed: bool
    long: bool
    cut: int
    blanks: bool  # shown as signs

    @property
    def length(self) -> int:
        return max(self.old_length, self.new_length)

    @property
    def whole_html(self) -> SafeString:
        return _html(self.whole, blanks=self.blanks)

    @property
    def old_html(self) -> SafeString:
        return _html(self.old, blanks=self.blanks)

    @property
    def new_html(self) -> SafeString:
        return _html(self.new, blanks=self.blanks)


@dataclass(frozen=True, slots=True)
class Texts:
    """What is on screen: ``shown``, compared with ``base`` (``None``: with nothing)."""

    shown: Version
    base: Version | None
    layout: Layout
    passages: list[Passage]


def texts_of(
    view: PairView, *, shown: Version, against: str, layout: Layout, full: bool, blanks: bool
) -> Texts:
    """The passages of ``shown`` laid against the original or against what it was made from."""
    base = base_of(view, shown, against)
    if base is None and layout is not Layout.TOKENS:
        layout = Layout.PLAIN
    passages = [
        _passage(
            name,
            old=getattr(base.pair, name) if base else "",
            new=getattr(shown.pair, name),
            compare=base is not None and layout in (Layout.DIFF, Layout.SIDE),
            full=full,
            blanks=blanks,
        )
        for name in TITLES
        if name != "input" or shown.pair.input or (base and base.pair.input)
    ]
    return Texts(shown=shown, base=base, layout=layout, passages=passages)


def base_of(view: PairView, shown: Version, against: str) -> Version | None:
    """What a version is compared with; ``None``: it is the original."""
    if shown.is_original:
        return None
    if against == "parent":
        return view.version(shown.parent_key) or view.original
    return view.original


def _passage(name: str, *, old: str, new: str, compare: bool, full: bool, blanks: bool) -> Passage:
    segments = diff_words(old, new) if compare else [Segment(Change.EQUAL, new)] if new else []
    limit = None if full else CUT_CHARACTERS
    whole, cut = _cut(segments, limit)
    before, _ = _cut((s for s in segments if s.change is not Change.INSERT), limit)
    after, _ = _cut((s for s in segments if s.change is not Change.DELETE), limit)
    shown = sum(len(segment.text) for segment in segments)
    lines = sum(segment.text.count("\n") for segment in segments)
    return Passage(
        field=name,
        title=gettext(TITLES[name]),
        whole=whole,
        old=before,
        new=after,
        old_length=len(old) if compare else len(new),
        new_length=len(new),
        changed=any(segment.change is not Change.EQUAL for segment in segments),
        long=not full and (shown > LONG_CHARACTERS or lines > LONG_LINES),
        cut=cut,
        blanks=blanks,
    )


def _cut(segments: Iterable[Segment], limit: int | None) -> tuple[list[Segment], int]:
    """The first ``limit`` characters, and how many were left out."""
    if limit is None:
        return list(segments), 0
    kept: list[Segment] = []
    left, cut = limit, 0
    for segment in segments:
        if len(segment.text) <= left:
            kept.append(segment)
            left -= len(segment.text)
            continue
        if left:
            kept.append(Segment(segment.change, segment.text[:left]))
        cut += len(segment.text) - left
        left = 0
    return kept, cut


def _html(segments: Sequence[Segment], *, blanks: bool) -> SafeString:
    """A text with its changes marked, and not one blank that is not in the text."""
    if not segments:
        return format_html('<span class="nothing">{}</span>', gettext("empty"))
    parts = list(dressed(segments))
    changes = [*(part.segment.change for part in parts[1:]), Change.EQUAL]
    html = (
        (_marked(part, blanks=blanks, replaced=change is Change.INSERT),)
        for part, change in zip(parts, changes, strict=True)
    )
    return format_html_join("", "{}", html)


def _marked(part: Part, *, blanks: bool, replaced: bool) -> str:
    """``replaced``: an insertion follows; a style keeps the last deleted word apart from it."""
    segment = part.segment
    text: str = segment.visible.translate(SIGNS_FOR_BLANKS) if blanks else segment.visible
    if part.dress:
        text = format_html('<span class="{}">{}</span>', part.dress, text)
    if segment.change is Change.EQUAL:
        return text
    tag = "del" if segment.change is Change.DELETE else "ins"
    if segment.blank and not blanks:  # nobody would see it: a style sets a sign before it
        return format_html('<{} class="blank blank--{}">{}</{}>', tag, segment.blank, text, tag)
    if segment.change is Change.DELETE and replaced:
        return format_html('<del class="replaced">{}</del>', text)
    return format_html("<{}>{}</{}>", tag, text, tag)
