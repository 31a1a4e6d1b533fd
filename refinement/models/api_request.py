from django.conf import settings
from django.db import models


class ApiRequest(models.Model):
    """A request with an ``Idempotency-Key``, and what it was answered: sent again, it does nothing.

    ``status`` is null while the first one is at work.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)  # of method, address and body
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="one_answer_an_idempotency_key")
        ]

    def __str__(self) -> str:
        return f"{self.key} → {self.status or 'in work'}"
