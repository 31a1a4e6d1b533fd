from django.conf import settings
from django.db import models

from refinement.models.run import Run


class PolicyChange(models.Model):
    """A policy that a run was given after its start, or whose cut was due. Append-only.

    The verdicts are derived anew from the stored scores, in the background: ``applied_at`` is null
    until all of them are. ``user`` is null where the run's end asked for it.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="policy_changes")
    version = models.PositiveIntegerField()  # the first is 1; 0 is the policy the run began with
    policy = models.JSONField()  # PolicySpec
    before = models.JSONField()  # the one it took the place of
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    kept_before = models.PositiveIntegerField(default=0)  # verdicts that keep
    kept_after = models.PositiveIntegerField(null=True)
    changed = models.PositiveIntegerField(default=0)  # verdicts that keep another pair, or no more
    error = models.TextField(blank=True)  # why it does not go on
    created_at = models.DateTimeField(auto_now_add=True)
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-version",)
        constraints = [
            models.UniqueConstraint(fields=["run", "version"], name="one_change_a_version")
        ]

    def __str__(self) -> str:
        return f"run {self.run_id} policy {self.version}"
