from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from refinement.models.project import Project


class AuditEvent(models.Model):
    """Who saw, changed, exported or administered what. Append-only: a row is never written again.

    Names are copied, so that an event still says who and what after both are gone.
    """

    class Kind(models.TextChoices):
        SAW = "saw", gettext_lazy("Saw")
        CHANGED = "changed", gettext_lazy("Changed")
        EXPORTED = "exported", gettext_lazy("Exported")
        ADMINISTERED = "administered", gettext_lazy("Administered")
        ENTERED = "entered", gettext_lazy("Signed in or out")
        REFUSED = "refused", gettext_lazy("Was refused")

    class Via(models.TextChoices):
        WEB = "web", gettext_lazy("Browser")
        API = "api", gettext_lazy("API")
        COMMAND = "command", gettext_lazy("Command line")

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    kind = models.CharField(max_length=12, choices=Kind)
    action = models.CharField(max_length=60)  # e.g. run.started
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    who = models.CharField(max_length=150, blank=True)
    via = models.CharField(max_length=8, choices=Via)
    address = models.GenericIPAddressField(null=True, blank=True)
    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    subject_type = models.CharField(max_length=30, blank=True)  # e.g. run
    subject_id = models.BigIntegerField(null=True, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["project", "-id"], name="audit_of_a_project"),
            models.Index(fields=["user", "-id"], name="audit_of_a_person"),
        ]

    def __str__(self) -> str:
        return f"{self.who or 'somebody'}: {self.action} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("An audit event is written once.")
        super().save(*args, **kwargs)
