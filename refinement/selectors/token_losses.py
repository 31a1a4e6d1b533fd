"""The losses of a response's single tokens, as they were stored with its score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.method.token_archive import unpack

if TYPE_CHECKING:
    from refinement.method.token_losses import PairedLoss
    from refinement.models import Score


def token_losses(score: Score) -> list[PairedLoss]:
    """The tokens in the order of the text; ``start`` and ``end`` count characters of the response.

    ``alone`` is the loss after the response's own beginning, ``given_instruction`` the loss after
    the prompt too, both in nats; their difference is what the instruction tells of the token. Empty
    for a score without such losses: of a response that could not be scored, or from before they
    were stored. One query, unless the score was read with them.
    """
    packed = score.token_losses
    return unpack(bytes(packed)).paired() if packed else []
