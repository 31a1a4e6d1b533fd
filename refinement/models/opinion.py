from django.conf import settings
from django.db import models
from django.db.models import Q

from refinement.models.candidate import Candidate
from refinement.models.decision import Decision
from refinement.models.run import RunSample


class Opinion(models.Model):
    """What one of several reviewers says of a pair, without having seen what the others said.

    Append-only but for ``is_current``: who thinks again, or takes it back, gets a new row or none.
    Actions are those of a Decision. Opinions export nothing; the decision they lead to does.
    """

    run_sample = models.ForeignKey(RunSample, on_delete=models.CASCADE, related_name="opinion_rows")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="opinions"
    )
    action = models.CharField(max_length=10, choices=Decision.Action)
    candidate = models.ForeignKey(
        Candidate, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(
                fields=["run_sample", "user"],
                condition=Q(is_current=True),
                name="one_opinion_a_person",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_action_display()}"
