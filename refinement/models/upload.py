import uuid

from django.conf import settings
from django.db import models

from refinement.models.project import Project


class Upload(models.Model):
    """A file on its way in, chunk by chunk. Complete, it becomes a Dataset and goes.

    The same file, by name, size and time of its last change, goes on where it stopped.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    filename = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    modified = models.BigIntegerField(default=0)  # milliseconds since 1970, as the browser says
    received_bytes = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-updated_at",)

    def __str__(self) -> str:
        return f"{self.filename}: {self.received_bytes} of {self.size_bytes} bytes"
