from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from refinement.models.dataset import Dataset
from refinement.models.endpoint import Endpoint
from refinement.models.project import Project
from refinement.models.stored_reply import StoredReply


class Trial(models.Model):
    """A teacher asked about a few samples before a run: to try prompts, and to measure the cost.

    ``config`` is frozen as a run's is. ``outcomes`` holds, for each sample, what was read from the
    replies.
    """

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Waiting")
        RUNNING = "running", gettext_lazy("The teacher is asked")
        DONE = "done", gettext_lazy("Done")
        FAILED = "failed", gettext_lazy("Failed")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="trials")
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="trials")
    teacher = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="trials")
    config = models.JSONField(default=dict)  # {"teacher": …, "prompts": …, "prompt_version": …}
    positions = models.JSONField(default=list)  # of the samples, in the dataset
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    outcomes = models.JSONField(default=list)
    error = models.TextField(blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"trial {self.pk} of {self.teacher}"


class TrialCall(StoredReply):
    """One reply of a trial. A run that asks the same later is answered from it."""

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="calls")
    position = models.PositiveIntegerField()  # of the sample
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("position", "id")
