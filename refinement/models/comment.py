from django.conf import settings
from django.db import models

from refinement.models.run import RunSample


class Comment(models.Model):
    """A remark on a sample of a run. It changes nothing that is exported."""

    run_sample = models.ForeignKey(RunSample, on_delete=models.CASCADE, related_name="comments")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="comments"
    )
    text = models.TextField(max_length=5000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.user}: {self.text[:60]}"
