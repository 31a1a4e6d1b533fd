"""All shapes, in the order in which a record is held against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.formats.chats import MessagesShape, ShareGPTShape
from refinement.formats.fields import AlpacaShape, FieldsShape, PromptShape, QuestionShape
from refinement.formats.shape import LAST, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS: dict[str, type[Shape]] = {
    shape.name: shape
    for shape in (
        ShareGPTShape,
        MessagesShape,
        AlpacaShape,
        PromptShape,
        QuestionShape,
        FieldsShape,
    )
}


def shape_of(name: str, mapping: Mapping[str, str] | None = None, *, turns: str = LAST) -> Shape:
    """The shape ``name``. Raises KeyError for an unknown one, ValueError for a wrong mapping."""
    return FORMATS[name](mapping, turns=turns)
