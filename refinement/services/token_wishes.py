"""Asking the student for the losses of single tokens, where a pair was scored without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Score, TokenWish
from refinement.services import audit
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from refinement.models import RunSample, User

TASK = "refinement.score_tokens"


def without_tokens(run_sample_id: int) -> QuerySet[Score]:
    """The scores of a pair whose token losses nobody kept."""
    scores = Score.objects.filter(run_sample=run_sample_id, status="scored")
    return scores.filter(token_losses__isnull=True)


def ask_for_tokens(*, run_sample: RunSample, user: User) -> None:
    """A student worker reads the pair once more; no score changes. Asking twice asks once."""
    if not without_tokens(run_sample.pk).exists():
        raise ServiceError(gettext("All scores of this pair have their tokens already."))
    with transaction.atomic():
        TokenWish.objects.update_or_create(
            run_sample=run_sample, defaults={"user": user, "error": ""}
        )
        audit.record("pair.tokens_asked", run_sample, user=user)
        wake(TASK, run_sample.pk)


def keep_tokens(*, run_sample_id: int, packed: Mapping[int, bytes]) -> None:
    """Write them beside their scores, by the score's id, where still none are; the wish is met."""
    with transaction.atomic():
        for score_id, losses in packed.items():
            Score.objects.filter(pk=score_id, token_losses__isnull=True).update(token_losses=losses)
        TokenWish.objects.filter(run_sample=run_sample_id).delete()


def refuse_tokens(*, run_sample_id: int, error: str) -> None:
    """The student cannot; whoever looks at the pair is told why, and may ask again."""
    TokenWish.objects.filter(run_sample=run_sample_id).update(error=error)


def wishes() -> list[int]:
    """The pairs that wait."""
    return list(TokenWish.objects.filter(error="").values_list("run_sample_id", flat=True))
