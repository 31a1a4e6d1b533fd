from django.db import models
from django.utils.translation import gettext_lazy


class Endpoint(models.Model):
    """A teacher: an OpenAI-compatible server. Names the variable of its key, never holds it."""

    class Protocol(models.TextChoices):
        STAGED = "staged", gettext_lazy("Staged turns (small models)")
        TAGGED = "tagged", gettext_lazy("One tagged reply (the paper's)")
        JSON_SCHEMA = "json_schema", gettext_lazy("Structured output")

    name = models.CharField(max_length=120, unique=True)
    base_url = models.URLField(max_length=500)
    model = models.CharField(max_length=200)
    api_key_variable = models.CharField(max_length=120, blank=True)
    protocol = models.CharField(max_length=20, choices=Protocol, default=Protocol.TAGGED)
    max_concurrency = models.PositiveIntegerField(default=16)
    max_tokens = models.PositiveIntegerField(default=2048)  # of one reply
    temperature = models.FloatField(default=0.7)
    timeout_seconds = models.FloatField(default=120.0)
    price_prompt = models.DecimalField(max_digits=10, decimal_places=4, default=0)  # per 1M tokens
    price_completion = models.DecimalField(max_digits=10, decimal_places=4, default=0)
    embedded = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-embedded", "name")

    def __str__(self) -> str:
        return self.name
