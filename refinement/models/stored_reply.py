from django.db import models


class StoredReply(models.Model):
    """What is kept of a teacher's reply. ``cost`` is 0 where it came ``from_storage``."""

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
    from_storage = models.BooleanField(default=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.step} ({self.completion_tokens} tokens)"
