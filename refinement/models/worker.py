from django.db import models


class Worker(models.Model):
    """A worker process that lives: it says every few seconds which queues it serves."""

    name = models.CharField(max_length=200, unique=True)  # host, queues and process id
    queues = models.JSONField(default=list)
    facts = models.JSONField(default=dict)  # memory_bytes, gpu_memory_bytes where there is one
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
