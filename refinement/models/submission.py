from django.conf import settings
from django.db import models


class Submission(models.Model):
    """A form that creates something, sent once: its token is taken by the first click alone."""

    token = models.UUIDField(unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    location = models.CharField(max_length=300, blank=True)  # of what it created; empty: not yet
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.token} → {self.location or 'in work'}"
