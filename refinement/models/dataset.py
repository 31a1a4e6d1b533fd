from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from refinement.models.project import Project


class Dataset(models.Model):
    """One imported file, or the selection of ``source_run``; its samples never change after that.

    ``format`` names the shape of its records and ``mapping`` which field of the file stands for
    which of the shape's: ``formats.registry.shape_of(format, mapping, turns)`` reads and writes
    them. ``container`` is how the records lay in the file. ``options`` is what the user chose:
    ``turns`` (``last`` or ``every``), ``duplicates`` (``keep``, ``exact`` or ``near``: which are
    skipped), ``bad`` (``skip`` or ``refuse``: the good rows, or nothing).

    A **draft** is a stored file whose import nobody has asked for. ``dry_run`` marks a reading that
    only tells what an import would do; it ends in a draft again, with its ``profile``.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", gettext_lazy("Not imported yet")
        PENDING = "pending", gettext_lazy("Waiting")
        IMPORTING = "importing", gettext_lazy("Importing")
        READY = "ready", gettext_lazy("Ready")
        FAILED = "failed", gettext_lazy("Failed")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to="datasets/%Y/%m/", max_length=300)
    filename = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    format = models.CharField(max_length=40, blank=True)
    mapping = models.JSONField(default=dict, blank=True)
    container = models.CharField(max_length=20, blank=True)  # json, jsonl, csv, parquet, arrow
    options = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    error = models.TextField(blank=True)
    read_bytes = models.BigIntegerField(default=0)  # progress of the import
    record_count = models.PositiveIntegerField(default=0)  # read so far, of whatever fate
    sample_count = models.PositiveIntegerField(default=0)
    kept_count = models.PositiveIntegerField(default=0)  # records kept as they are
    rejected_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(default=0)  # duplicates that were left out
    dry_run = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)  # workers that began to read it
    profile = models.JSONField(default=dict, blank=True)  # figures of the whole file
    lease_expires_at = models.DateTimeField(null=True, blank=True)  # held by the importing worker
    source_run = models.ForeignKey(  # a further round begins with what this run selected
        "Run", null=True, blank=True, on_delete=models.SET_NULL, related_name="selections"
    )
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
