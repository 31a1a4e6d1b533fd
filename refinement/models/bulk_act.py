from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from refinement.models.run import Run, RunSample


class BulkAct(models.Model):
    """One act of a person on everything that a filter matched, done by a worker in batches.

    What it did to each pair is a row of its own (``BulkItem``, and a Decision like any other), so
    that one undo takes all of it back, and only it. ``through`` is the last item that was gone
    through, in the present direction.
    """

    class Action(models.TextChoices):
        ACCEPT = "accept", gettext_lazy("Accept the verdicts")
        ORIGINAL = "original", gettext_lazy("Keep the originals")
        DROP = "drop", gettext_lazy("Drop")
        FLAG = "flag", gettext_lazy("Flag")
        ASSIGN = "assign", gettext_lazy("Assign")
        RESTORE = "restore", gettext_lazy("Restore")

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Waiting")
        WORKING = "working", gettext_lazy("In work")
        DONE = "done", gettext_lazy("Done")
        UNDO_PENDING = "undo_due", gettext_lazy("Undo waits")
        UNDOING = "undoing", gettext_lazy("Undoing")
        UNDONE = "undone", gettext_lazy("Undone")

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="bulk_acts")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="bulk_acts"
    )
    action = models.CharField(max_length=10, choices=Action)
    query = models.JSONField(default=dict)  # the filter, as in an address
    details = models.JSONField(default=dict)  # {"assignee": id}, {"decision": id}
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    expected = models.PositiveIntegerField()  # pairs, as shown to the person
    matched = models.PositiveIntegerField(null=True)  # pairs, once they were gathered
    through = models.BigIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)  # pairs that it changed
    skipped = models.PositiveIntegerField(default=0)  # changed by others meanwhile, or unfit
    undone = models.PositiveIntegerField(default=0)
    left = models.PositiveIntegerField(default=0)  # not undone: people have decided since
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["status"], name="bulk_acts_to_do")]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_action_display()} ({self.expected} pairs)"


class BulkItem(models.Model):
    """A pair of a bulk act. ``seen`` counted when the act began; ``decision`` is the act's own."""

    act = models.ForeignKey(BulkAct, on_delete=models.CASCADE, related_name="items", db_index=False)
    run_sample = models.ForeignKey(RunSample, on_delete=models.CASCADE, related_name="+")
    seen = models.ForeignKey(
        "Decision", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    decision = models.ForeignKey(
        "Decision", null=True, on_delete=models.SET_NULL, related_name="bulk_items"
    )
    changed = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["act", "run_sample"], name="one_item_a_pair")
        ]
        indexes = [models.Index(fields=["act", "id"], name="items_in_order")]

    def __str__(self) -> str:
        return f"{self.act_id}: {self.run_sample_id}"


class Flag(models.Model):
    """A pair that somebody wants looked at. It changes nothing that is exported."""

    run_sample = models.OneToOneField(RunSample, on_delete=models.CASCADE, related_name="flag")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    act = models.ForeignKey(BulkAct, null=True, on_delete=models.SET_NULL, related_name="flags")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"flag on {self.run_sample_id}"
