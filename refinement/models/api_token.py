from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from refinement.models.project import Project


class ApiToken(models.Model):
    """Lets a program act for a person, as far as ``scopes`` go. Only the hash of it is kept."""

    class Scope(models.TextChoices):
        READ = "read", gettext_lazy("Read")
        REVIEW = "review", gettext_lazy("Review: decide, undo, comment")
        WRITE = "write", gettext_lazy("Write: upload, run, export, people, webhooks")
        ADMIN = "admin", gettext_lazy("Administer: teachers, students, the audit log")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=120)
    start = models.CharField(max_length=12)  # of the token, so that people can tell them apart
    digest = models.CharField(max_length=64, unique=True)  # SHA-256, in hex
    scopes = models.JSONField(default=list)
    project = models.ForeignKey(  # null: all projects of the person
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"
