"""Which pairs of a run: the review queue's filter, and one line of the list."""

from typing import Annotated, Any, Literal

from ninja import Field, Schema
from pydantic import AfterValidator

from refinement.api.schemas.common import Body, Text
from refinement.selectors.queue import Order, Phase, QueueFilter, Show
from refinement.selectors.queue.filters import LONGEST_SEARCH
from refinement.selectors.queue.turned import LONGEST, read_policy

Score = Annotated[float | None, Field(None, ge=-1e9, le=1e9, allow_inf_nan=False)]


def _a_policy(text: str) -> str:
    if text and read_policy(text) is None:
        raise ValueError("is no policy: take `turns` of a what-if")
    return text


class PairFilter(Body):
    """As the list of the review room has it. All that is given must hold; nothing given: all pairs.

    A score is that of the pair which the student's choices led to; a delta is the rewrite's less
    that of what it was compared with. Bounds are included, and pairs without the score are out.
    """

    show: Show = Field(Show.ALL, description="What counts for the pair now")
    order: Order = Field(Order.POSITION, description="`margin`: the closest calls first")
    seed: int = Field(1, ge=0, lt=2**31, description="Of the order `random`")
    verdict: str = Field(
        "",
        max_length=40,
        pattern=r"^[A-Za-z0-9_]*$",
        description="`kept`, `dropped`, `none`, or a code such as `response_not_accepted`",
    )
    decision: Literal["accept", "original", "candidate", "edit", "drop"] | None = None
    reviewer: Text = Field("", max_length=150, description="Whose decision counts, by username")
    phase: Phase | None = Field(None, description="Which rewrites the student took")
    flag: Literal["flagged", "truncated", "unscorable", "straddled"] | None = Field(
        None, description="`flagged` is by people, the others are by the student"
    )
    q: Text = Field("", max_length=LONGEST_SEARCH, description="Words of the texts")
    turns: Annotated[Text, AfterValidator(_a_policy)] = Field(
        "", max_length=LONGEST, description="Pairs that this policy would turn: of a what-if"
    )
    against: bool = Field(False, description="With `turns`: only where people said otherwise")
    ifd_min: Score
    ifd_max: Score
    r_ifd_min: Score
    r_ifd_max: Score
    delta_ifd_min: Score
    delta_ifd_max: Score
    delta_r_ifd_min: Score
    delta_r_ifd_max: Score

    def queue(self) -> QueueFilter:
        words = self.model_dump(mode="json", exclude_none=True)
        return QueueFilter.from_query(
            {name: str(value) for name, value in words.items()}
            | {"against": "1" if self.against else ""}
        )

    def narrowing(self) -> dict[str, str]:
        """In the words that an export keeps: the list, without its order."""
        words = filter_words(self.queue().as_query())
        return {name: word for name, word in words.items() if name not in {"order", "seed"}}


def filter_words(query: dict[str, Any]) -> dict[str, str]:
    """A stored filter in the words of ``PairFilter``, whose default is another list."""
    return {"show": Show.UNDECIDED.value, **query}


class PairLine(Schema):
    """``margin``: how close the student's call was; null where nothing was compared."""

    id: int = Field(alias="run_sample_id")
    position: int
    title: str
    margin: float | None
    mark: str
    decided: bool
    edited: bool
