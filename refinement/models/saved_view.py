from django.conf import settings
from django.db import models

from refinement.models.project import Project


class SavedView(models.Model):
    """A filter and an order of the queue under a name, for everybody in a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=80)
    query = models.JSONField(default=dict)  # as in an address
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_view_a_name")]

    def __str__(self) -> str:
        return self.name
