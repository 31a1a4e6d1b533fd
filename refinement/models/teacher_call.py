from django.db import models

from refinement.models.run import RunSample


class TeacherCall(models.Model):
    """One reply of a teacher, stored the moment it arrives: what was paid for is never lost.

    ``request_hash`` covers model, messages and sampling settings. A step that is run again finds
    its stored reply by it and pays nothing; so does the same question about another sample, or in
    another run of the project, whose reply is then copied: ``from_storage``, at no cost. A
    ``discarded`` reply made its sample fail: it stays as
    a record, and a retry of the sample asks anew.
    """

    run_sample = models.ForeignKey(
        RunSample, on_delete=models.CASCADE, related_name="teacher_calls"
    )
    step = models.CharField(max_length=40)  # e.g. criticise_instruction
    attempt = models.PositiveIntegerField(default=0)
    request_hash = models.CharField(max_length=64, db_index=True)
    model = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    finish_reason = models.CharField(max_length=40, blank=True)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=14, decimal_places=8, default=0)
    latency_seconds = models.FloatField(default=0.0)
    discarded = models.BooleanField(default=False)
    from_storage = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)  # for tokens a second

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(
                fields=["run_sample", "step", "attempt", "request_hash"], name="one_reply_a_request"
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} ({self.completion_tokens} tokens)"
