"""What every subject of the API uses: texts, ids, bodies, pages."""

from typing import Annotated, Generic, TypeVar

from ninja import Field, Schema
from pydantic import AfterValidator, BaseModel, ConfigDict

T = TypeVar("T")

BIGGEST_ID = 2**63 - 1


def _storable(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a character that is not text (NUL or half of a pair)")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[int, Field(ge=1, le=BIGGEST_ID)]
Cursor = Annotated[str, Field(max_length=200, description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=500, description="How many at most")]


class Body(BaseModel):
    """What is sent: an object without unknown fields, so that a slip is not passed over."""

    model_config = ConfigDict(extra="forbid")


class Page(Schema, Generic[T]):
    """One page of a list. ``next`` is the cursor of the page behind it; null: that was all."""

    items: list[T]
    next: str | None


class Count(Schema):
    count: int
