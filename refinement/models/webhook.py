from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from refinement.models.project import Project


class Webhook(models.Model):
    """An address that is told what happens in a project.

    The secret that signs what is sent is made from the server's own key and ``salt``, so it is not
    in the database.
    """

    class Event(models.TextChoices):
        RUN_FINISHED = "run.finished", gettext_lazy("A run is complete")
        RUN_PAUSED = "run.paused", gettext_lazy("A run paused itself and waits for a person")
        BUDGET_REACHED = "run.budget_reached", gettext_lazy("A run has spent its budget")
        EXPORT_READY = "export.ready", gettext_lazy("An export is ready")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    events = models.JSONField(default=list)
    salt = models.CharField(max_length=32)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One message to one address, sent until it is taken or too many tries have failed."""

    class State(models.TextChoices):
        WAITING = "waiting", gettext_lazy("Waiting")
        SENT = "sent", gettext_lazy("Sent")
        FAILED = "failed", gettext_lazy("Given up")

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    body = models.TextField()  # as it is signed and sent
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField()
    answer = models.CharField(max_length=200, blank=True)  # to the last try
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(state="waiting"), name="deliveries_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} → {self.webhook} ({self.state})"
