from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from refinement.models.dataset import Dataset
from refinement.models.endpoint import Endpoint
from refinement.models.project import Project
from refinement.models.sample import Sample
from refinement.models.student import Student


class Run(models.Model):
    """One refinement of one dataset. ``config`` is the frozen copy of all that shaped it."""

    class Status(models.TextChoices):
        RUNNING = "running", gettext_lazy("Running")
        PAUSED = "paused", gettext_lazy("Paused")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")
        COMPLETE = "complete", gettext_lazy("Complete")

    class Priority(models.TextChoices):
        """Shares of teacher and students beside other running runs: a quarter, one, four."""

        LOW = "low", gettext_lazy("Low")
        NORMAL = "normal", gettext_lazy("Normal")
        HIGH = "high", gettext_lazy("High")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    teacher = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="runs")
    student = models.ForeignKey(Student, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField(max_length=200)
    config = models.JSONField(default=dict)  # {"teacher": …, "student": …, "policy": …}
    notice = models.TextField(blank=True)  # what the user should know now, e.g. why it paused
    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    priority = models.CharField(
        max_length=6, choices=Priority, default=Priority.NORMAL, db_default="normal"
    )
    student_fingerprint = models.CharField(max_length=64, blank=True)
    policy_version = models.PositiveIntegerField(default=0)  # changes so far: PolicyChange
    cut_applied = models.BooleanField(default=False)  # the policy's cut, which needs all scores
    # Totals kept while it runs: counting half a million replies for each look would be slow.
    teacher_calls = models.PositiveIntegerField(default=0)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(max_digits=16, decimal_places=8, default=0)
    stored_answers = models.PositiveIntegerField(default=0)  # questions that storage answered
    # What the teacher may use at most, of all calls together; null: no such bound.
    budget_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    budget_cost = models.DecimalField(max_digits=16, decimal_places=8, null=True, blank=True)
    scored_pairs = models.PositiveIntegerField(default=0)
    # Tokens that went through the student, and that would have with each pair scored by itself.
    forward_tokens = models.PositiveBigIntegerField(default=0)
    forward_tokens_apart = models.PositiveBigIntegerField(default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name


class RunSample(models.Model):
    """Where one sample stands in one run.

    A row may be claimed when its state is ``ready``, or ``leased`` with a lease that ran out. A
    ``failed`` row keeps the stage it failed in, so that a retry goes on from there.
    """

    class Stage(models.TextChoices):
        REFLECT_INSTRUCTION = "reflect_instruction", gettext_lazy("Reflect on the instruction")
        SELECT_INSTRUCTION = "select_instruction", gettext_lazy("Select on the instruction")
        REFLECT_RESPONSE = "reflect_response", gettext_lazy("Reflect on the response")
        SELECT_RESPONSE = "select_response", gettext_lazy("Select on the response")
        DONE = "done", gettext_lazy("Done")

    class State(models.TextChoices):
        READY = "ready", gettext_lazy("Ready")
        LEASED = "leased", gettext_lazy("In work")
        FAILED = "failed", gettext_lazy("Failed")
        DONE = "done", gettext_lazy("Done")

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="run_samples")
    sample = models.ForeignKey(Sample, on_delete=models.PROTECT, related_name="run_samples")
    position = models.PositiveIntegerField()  # the sample's, copied: the queue's order
    stage = models.CharField(max_length=20, choices=Stage, default=Stage.REFLECT_INSTRUCTION)
    state = models.CharField(max_length=6, choices=State, default=State.READY)
    attempts = models.PositiveIntegerField(default=0)  # of the present stage
    not_before = models.DateTimeField(null=True, blank=True)  # back-off after a transient error
    lease_token = models.CharField(max_length=36, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    # What the question under way may cost at most, held back from the run's budget.
    reserved_tokens = models.PositiveBigIntegerField(default=0)
    reserved_cost = models.DecimalField(max_digits=16, decimal_places=8, default=0)
    error_reason = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    decision = models.ForeignKey(  # the one that counts now; null: the verdict counts
        "Decision", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    opinions = models.PositiveSmallIntegerField(default=0)  # current ones, where several review
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["run", "sample"], name="one_sample_a_run"),
            models.CheckConstraint(
                condition=~Q(state="leased")
                | (~Q(lease_token="") & Q(lease_expires_at__isnull=False)),
                name="a_lease_has_token_and_end",
            ),
            models.CheckConstraint(
                condition=(Q(stage="done") & Q(state="done"))
                | (~Q(stage="done") & ~Q(state="done")),
                name="done_in_stage_and_state",
            ),
        ]
        indexes = [
            models.Index(fields=["run", "state", "stage", "position"], name="claim_order"),
            models.Index(fields=["run", "position"], name="queue_order"),
            models.Index(
                fields=["lease_expires_at"], condition=Q(state="leased"), name="leases_running_out"
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.run_id} #{self.position + 1} {self.stage}/{self.state}"
