from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from refinement.method.pairs import Pair
from refinement.models.run import RunSample
from refinement.models.teacher_call import TeacherCall


class Candidate(models.Model):
    """An immutable rewrite of a sample: by the teacher in one of two phases, or by a person."""

    class Kind(models.TextChoices):
        INSTRUCTION = "instruction", gettext_lazy("Instruction rewrite")
        RESPONSE = "response", gettext_lazy("Response rewrite")
        EDIT = "edit", gettext_lazy("Human edit")

    run_sample = models.ForeignKey(RunSample, on_delete=models.CASCADE, related_name="candidates")
    kind = models.CharField(max_length=12, choices=Kind)
    parent = models.ForeignKey(  # the candidate it rewrites; null: the original
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children"
    )
    instruction = models.TextField()
    input = models.TextField(blank=True)
    response = models.TextField()
    criticism = models.TextField(blank=True)
    teacher_call = models.ForeignKey(
        TeacherCall, null=True, blank=True, on_delete=models.SET_NULL, related_name="candidates"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(
                fields=["run_sample", "kind"],
                condition=~Q(kind="edit"),
                name="one_candidate_a_phase",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.run_sample}"

    def as_pair(self) -> Pair:
        """The rewritten pair, under the sample's own context."""
        original = self.run_sample.sample.as_pair()
        return Pair(
            instruction=self.instruction,
            input=self.input,
            response=self.response,
            context=original.context,
        )
