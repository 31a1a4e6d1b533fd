"""How people share the pairs of a run, how far each is, how far they agree."""

from datetime import datetime
from typing import Annotated, Any

from ninja import Field, Schema

from refinement.api.schemas.common import Body, Text
from refinement.api.schemas.pairs import PairFilter
from refinement.models.review_plan import MOST_REVIEWERS

Username = Annotated[Text, Field(min_length=1, max_length=150)]


class PlanIn(Body):
    """With more than one reviewer a pair each judges alone, and what they agree on is the decision.
    ``blind`` hides scores, verdict and where a text came from until a pair is decided; ``seed``
    shuffles its sides."""

    reviewers_per_pair: int = Field(1, ge=1, le=MOST_REVIEWERS)
    blind: bool = False
    seed: int = Field(0, ge=0, lt=2**31)


class PlanOut(Schema):
    reviewers_per_pair: int
    blind: bool
    seed: int


class AssignIn(Body):
    """Every undecided pair that nobody has goes to as many of them as the plan says."""

    people: list[Username] = Field(min_length=1, max_length=1000)


class PersonIn(Body):
    username: Username


class PersonOut(Schema):
    """Counts of pairs. ``left``: of the assigned, those still to be judged."""

    username: str = Field(alias="user.username")
    assigned: int
    left: int
    judged: int
    last_at: datetime | None


class AgreedOut(Schema):
    """Two judges on the pairs that both judged. ``kappa`` (Cohen): null where not defined."""

    first: str
    second: str
    pairs: int
    share: float | None
    kappa: float | None


class AgreementOut(Schema):
    """``alpha`` (Krippendorff) is of all people over the ``compared`` pairs that two judged."""

    people: list[AgreedOut]
    policies: list[AgreedOut]
    alpha: float | None
    compared: int


class OpinionOut(Schema):
    """``side``: the letter that was chosen, where the pair is still reviewed blind."""

    user: str
    action: str
    candidate: int | None
    side: str
    created_at: datetime


class DisputeOut(Schema):
    id: int
    position: int
    opinions: list[OpinionOut]


class NextIn(Body):
    filter: PairFilter | None = Field(None, description="Left out: the undecided pairs")
    after: int | None = Field(None, ge=1, lt=2**63, description="The pair before")


class NextOut(Schema):
    """``pair``: null where nothing is left for this person."""

    pair: int | None


def opinion(said: Any, side: str | None) -> dict[str, Any]:
    """``side``: None where the pair is not blind."""
    chose = said.action in {"accept", "original", "candidate"}
    return {
        "user": said.user.get_username(),
        "action": "side" if side is not None and chose else said.action,
        "candidate": said.candidate_id if side is None else None,
        "side": side or "",
        "created_at": said.created_at,
    }
