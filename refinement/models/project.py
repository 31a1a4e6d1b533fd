from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy


class Project(models.Model):
    """The tenant: everything a team uploads, runs and decides belongs to one project."""

    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="projects"
    )
    # Whose role ``selectors.access`` found when it read this row, and which: asked once a request.
    role_known: tuple[int, str] | None = None

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """What a person may do in a project: an owner all of it, a reviewer decide, a viewer read."""

    class Role(models.TextChoices):
        OWNER = "owner", gettext_lazy("Owner")
        REVIEWER = "reviewer", gettext_lazy("Reviewer")
        VIEWER = "viewer", gettext_lazy("Viewer")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_membership_a_person")
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"
