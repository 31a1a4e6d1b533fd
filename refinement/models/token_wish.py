from django.conf import settings
from django.db import models

from refinement.models.run import RunSample


class TokenWish(models.Model):
    """Somebody wants the losses of a pair's single tokens, which its scores lack.

    It goes when they are there. ``error``: why the student could not give them.
    """

    run_sample = models.OneToOneField(
        RunSample, on_delete=models.CASCADE, related_name="token_wish"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"tokens of {self.run_sample_id}"
