from django.conf import settings
from django.db import models

from refinement.models.project import Project


class Dataset(models.Model):
    """One imported file. Its samples never change after the import."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting"
        IMPORTING = "importing", "Importing"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to="datasets/%Y/%m/", max_length=300)
    filename = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    format = models.CharField(max_length=40, blank=True)
    mapping = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    error = models.TextField(blank=True)
    read_bytes = models.BigIntegerField(default=0)  # progress of the import
    sample_count = models.PositiveIntegerField(default=0)
    rejected_count = models.PositiveIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)  # held by the importing worker
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name


class RejectedRow(models.Model):
    """What an import refused, and why."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="rejected_rows")
    line = models.PositiveBigIntegerField()
    field = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=300)
    excerpt = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"
