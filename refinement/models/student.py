from django.db import models
from django.utils.translation import gettext_lazy


class Student(models.Model):
    """The model that will be trained, and so the one whose losses decide."""

    class Template(models.TextChoices):
        VICUNA = "vicuna", gettext_lazy("Vicuna")
        ALPACA = "alpaca", gettext_lazy("Alpaca")
        WIZARDLM = "wizardlm", gettext_lazy("WizardLM")
        NONE = "none", gettext_lazy("None")
        CHAT = "chat", gettext_lazy("The model's own chat template")

    class Dtype(models.TextChoices):
        AUTO = "auto", gettext_lazy("auto")
        FLOAT32 = "float32", gettext_lazy("float32")
        BFLOAT16 = "bfloat16", gettext_lazy("bfloat16")

    name = models.CharField(max_length=120, unique=True)
    path = models.CharField(max_length=500)
    revision = models.CharField(max_length=120, blank=True)
    template = models.CharField(max_length=20, choices=Template, default=Template.VICUNA)
    dtype = models.CharField(max_length=20, choices=Dtype, default=Dtype.AUTO)
    max_length = models.PositiveIntegerField(default=2048)  # tokens
    embedded = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-embedded", "name")

    def __str__(self) -> str:
        return self.name
