"""What a shape is: how one record says its pairs, and how it is put together again.

A shape takes a record apart into ``Parts`` (``read``) and makes the record of them again
(``write``). What is no text of the pair stays in ``Parts.extra`` and ``Parts.layout``, in a form
that is the shape's own business: nobody else looks into them, but for ``others``.

    parts = shape.read(record, escapes=True)
    assert shape.write(parts) == record          # key order, unknown fields and all

A rewrite is exported by replacing ``parts[n].pair`` before ``write``. Another shape is exported
from ``pair`` (its ``context`` holds the earlier turns) and ``shape.others(parts[0])``.

Stored, ``Parts`` is a ``Sample``: ``pair``, ``extra``, ``layout`` and ``part``. Most records are
one part. A conversation that was cut into all of its exchanges is several, in samples of
consecutive positions: the sample at ``position`` belongs to the record that begins at
``position - part``, and only the first (``part`` 0) carries the rest of the record in ``extra``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refinement.method.pairs import Pair

LAST, EVERY = "last", "every"  # which assistant turns of a chat become samples


@dataclass(slots=True)
class GivenRewrite:
    """A rewrite that came with the data. ``kind``: ``instruction`` or ``response``."""

    kind: str
    instruction: str
    input: str
    response: str
    criticism: str = ""


@dataclass(slots=True)
class Parts:
    """One pair of a record, and what is needed to put the record together again."""

    pair: Pair
    extra: dict[str, Any] = field(default_factory=dict)
    layout: tuple[str | int, ...] = ()
    part: int = 0
    rewrites: tuple[GivenRewrite, ...] = ()


class KeptAsIs(Exception):  # noqa: N818 - no fault: the record goes in, only not as a pair
    """The record is sound but holds nothing to refine. ``reason`` completes "kept as is: …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def asked(pair: Pair) -> str:
    """The user's turn where there is no place for an input: it stands below the instruction."""
    return f"{pair.instruction}\n\n{pair.input}" if pair.input else pair.instruction


def chosen_fields(shape: type[Shape], mapping: Mapping[str, str] | None) -> dict[str, str]:
    """Ours → theirs: the shape's defaults, with what ``mapping`` changes or takes out.

    Raises ValueError for a field that the shape does not have.
    """
    chosen = {**shape.defaults, **(mapping or {})}
    named = {field: theirs for field, theirs in chosen.items() if theirs}
    unknown = set(named) - set(shape.fields)
    if unknown:
        raise ValueError(f"no field of {shape.label}: {', '.join(sorted(unknown))}")
    return named


class Shape(Protocol):
    """One of ``registry.FORMATS``.

    ``fields`` are the names that a mapping may set, each with what it means; ``required`` those
    without which there is no pair. ``mapping`` says which field of the file, by name or by a path
    such as ``instances[0].output``, stands for which of them; ``defaults`` are in force without it,
    and an empty name takes one of them out.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    hint: ClassVar[str]
    fields: ClassVar[Mapping[str, str]]
    required: ClassVar[tuple[str, ...]]
    defaults: ClassVar[Mapping[str, str]]

    def __init__(self, mapping: Mapping[str, str] | None = None, *, turns: str = LAST) -> None: ...

    @property
    def mapping(self) -> dict[str, str]:
        """Ours → theirs, defaults included."""

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Whether a record of a file may be meant as this shape."""

    def read(self, record: dict[str, Any], *, escapes: bool) -> list[Parts]:
        """Take a record apart. Raises RecordError (refused) or KeptAsIs.

        ``escapes``: its texts may hold NUL or lone surrogates and must be looked through.
        """

    def write(self, parts: Sequence[Parts]) -> dict[str, Any]:
        """The record of all its parts, in their order. Raises ValueError for what it cannot say."""

    def others(self, parts: Parts) -> dict[str, Any]:
        """The record's further fields, in their order, for a record of another shape."""
