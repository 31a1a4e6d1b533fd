from django.conf import settings
from django.db import models

from refinement.models.run import Run, RunSample


class Assignment(models.Model):
    """A pair that an owner gave to a person. "Next" gives an assigned pair to nobody else."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    run_sample = models.ForeignKey(RunSample, on_delete=models.CASCADE, related_name="assignments")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assignments"
    )
    assigned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run_sample", "user"], name="one_assignment_a_person")
        ]
        indexes = [models.Index(fields=["run", "user"], name="assignments_of_a_person")]

    def __str__(self) -> str:
        return f"{self.run_sample_id} for {self.user}"
