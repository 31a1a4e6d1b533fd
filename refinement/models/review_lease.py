from django.conf import settings
from django.db import models

from refinement.models.run import Run, RunSample


class ReviewLease(models.Model):
    """A person has a pair open. While it lasts, "next" gives the pair to nobody else.

    ``ahead``: only fetched so far, to be there when the person goes on. Who finds nothing else may
    have it.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    run_sample = models.ForeignKey(
        RunSample, on_delete=models.CASCADE, related_name="review_leases"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="review_leases"
    )
    expires_at = models.DateTimeField()
    ahead = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run_sample", "user"], name="one_review_lease_a_person")
        ]
        indexes = [models.Index(fields=["run", "expires_at"], name="review_leases_of_a_run")]

    def __str__(self) -> str:
        return f"{self.user} reads {self.run_sample_id} until {self.expires_at}"
