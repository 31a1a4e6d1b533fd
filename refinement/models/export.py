from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from refinement.models.dataset import Dataset
from refinement.models.project import Project
from refinement.models.run import Run


class Export(models.Model):
    """What left: the selection of a run, or a dataset as it is, with a manifest of how it came.

    ``file`` is the file of the split ``train``; beside it in its folder lie the other files that
    the manifest names, and the papers. ``options``: see ``services/export_options.py``.
    """

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Waiting")
        WRITING = "writing", gettext_lazy("Writing")
        READY = "ready", gettext_lazy("Ready")
        FAILED = "failed", gettext_lazy("Failed")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")

    run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.CASCADE, related_name="exports"
    )
    dataset = models.ForeignKey(  # without a run: the dataset as it was imported
        Dataset, null=True, blank=True, on_delete=models.CASCADE, related_name="exports"
    )
    options = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    error = models.TextField(blank=True)
    file = models.FileField(upload_to="exports/%Y/%m/", max_length=300, blank=True)
    done_rows = models.PositiveIntegerField(default=0)  # progress of the writing
    total_rows = models.PositiveIntegerField(default=0)
    row_count = models.PositiveIntegerField(default=0)  # of all files
    sha256 = models.CharField(max_length=64, blank=True)  # of ``file``
    manifest = models.JSONField(default=dict)
    lease_expires_at = models.DateTimeField(null=True, blank=True)  # held by the writing worker
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=Q(run__isnull=False, dataset__isnull=True)
                | Q(run__isnull=True, dataset__isnull=False),
                name="an_export_of_a_run_or_a_dataset",
            )
        ]

    def __str__(self) -> str:
        return f"export {self.pk} of {self.run or self.dataset}"

    @property
    def project(self) -> Project:
        return self.run.project if self.run else self._own_dataset.project

    @property
    def source(self) -> Dataset:
        """The dataset whose pairs left."""
        return self.run.dataset if self.run else self._own_dataset

    @property
    def _own_dataset(self) -> Dataset:
        if self.dataset is None:
            raise ValueError("an export has a run or a dataset")
        return self.dataset


class Push(models.Model):
    """A ready export on its way to a Hugging Face repository.

    ``token_variable`` names the environment variable that holds the token where the workers run;
    the token itself is stored nowhere.
    """

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Waiting")
        PUSHING = "pushing", gettext_lazy("Pushing")
        DONE = "done", gettext_lazy("Pushed")
        FAILED = "failed", gettext_lazy("Failed")

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="pushes")
    repository = models.CharField(max_length=200)  # owner/name
    private = models.BooleanField(default=True)
    token_variable = models.CharField(max_length=120)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    error = models.TextField(blank=True)
    url = models.CharField(max_length=500, blank=True)  # of the commit
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"{self.export} → {self.repository}"
