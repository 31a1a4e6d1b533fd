import random

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from refinement.models.run import Run

MOST_REVIEWERS = 9


def _seed() -> int:
    return random.SystemRandom().randrange(1_000_000)


class ReviewPlan(models.Model):
    """How the people of a run share its pairs. A run without one: one reviewer a pair, all shown.

    With ``reviewers_per_pair`` above one, each says an ``Opinion`` on their own; what they agree on
    becomes the decision. ``blind`` hides where a text came from, and ``seed`` shuffles the sides.
    """

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="review_plan")
    reviewers_per_pair = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_REVIEWERS)]
    )
    blind = models.BooleanField(default=False)
    seed = models.PositiveIntegerField(default=_seed)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.reviewers_per_pair} a pair{', blind' if self.blind else ''}"
