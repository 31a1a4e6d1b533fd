from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from refinement.models.run import Run


class Export(models.Model):
    """What left: the selection of a run as a file, with a manifest that says how it came about."""

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Waiting")
        WRITING = "writing", gettext_lazy("Writing")
        READY = "ready", gettext_lazy("Ready")
        FAILED = "failed", gettext_lazy("Failed")

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="exports")
    options = models.JSONField(default=dict)  # format, filters, columns: see services/exports.py
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    error = models.TextField(blank=True)
    file = models.FileField(upload_to="exports/%Y/%m/", max_length=300, blank=True)
    row_count = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    manifest = models.JSONField(default=dict)
    lease_expires_at = models.DateTimeField(null=True, blank=True)  # held by the writing worker
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"export {self.pk} of {self.run}"
