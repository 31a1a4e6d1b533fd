from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from refinement.models.candidate import Candidate
from refinement.models.run import Run, RunSample


class Decision(models.Model):
    """What a person said of a sample. Append-only: an undo is a new row.

    ``RunSample.decision`` points at the one that counts now; without one the verdict counts.
    ``candidate`` is set for ``candidate`` and ``edit``. ``undoes`` is set for ``undo`` alone.
    """

    class Action(models.TextChoices):
        ACCEPT = "accept", gettext_lazy("Accepted the verdict")
        ORIGINAL = "original", gettext_lazy("Kept the original")
        CANDIDATE = "candidate", gettext_lazy("Took the candidate")
        EDIT = "edit", gettext_lazy("Edited")
        DROP = "drop", gettext_lazy("Dropped")
        UNDO = "undo", gettext_lazy("Undid")

    class Basis(models.TextChoices):
        OWN = "own", gettext_lazy("One person's word")
        AGREEMENT = "agreement", gettext_lazy("All reviewers agreed")
        ADJUDICATION = "adjudication", gettext_lazy("An owner settled a disagreement")

    run_sample = models.ForeignKey(RunSample, on_delete=models.CASCADE, related_name="decisions")
    run = models.ForeignKey(  # the pair's, here too: a history is a walk along its index
        Run, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions"
    )
    action = models.CharField(max_length=10, choices=Action)
    candidate = models.ForeignKey(
        Candidate, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    basis = models.CharField(max_length=12, choices=Basis, default=Basis.OWN)
    previous = (
        models.ForeignKey(  # the decision that counted before this one: where an undo returns
            "self", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
        )
    )
    undoes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="undone_by"
    )
    act = models.ForeignKey(  # the bulk act that it is part of
        "BulkAct", null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["run", "id"], name="decisions_of_a_run"),
            models.Index(fields=["run", "user", "id"], name="decisions_of_a_person"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_action_display()}"
