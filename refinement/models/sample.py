import json

from django.db import models
from django.utils.translation import gettext_lazy

from refinement.method.pairs import Pair, Turn
from refinement.models.dataset import Dataset
from refinement.models.fields import ExactJSONField


class Sample(models.Model):
    """One original pair: one ``formats.shape.Parts`` of a record, stored.

    ``extra`` keeps what else the record holds and ``layout`` where the texts of the pair stand in
    it; their form is that of the dataset's shape, which alone reads them. For the shapes of fields
    ``extra`` is every other field and ``layout`` the order of all (empty: the plain order of
    Alpaca); for chats ``extra`` is the record without the two texts, and ``layout`` the numbers of
    the two messages. ``selectors.records`` puts records together again.

    Nearly every record is one sample. A conversation of which every assistant turn became a sample
    is several, of consecutive positions: the sample at ``position`` belongs to the record that
    begins with the one at ``position - part``, and only that one has an ``extra``.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="samples")
    position = models.PositiveIntegerField()  # 0-based, one count with KeptRecord's
    line = models.PositiveBigIntegerField()  # 1-based, in the file
    instruction = models.TextField()
    input = models.TextField(blank=True)
    response = models.TextField(blank=True)
    part = models.PositiveSmallIntegerField(default=0)  # 0-based, within its record
    context = models.JSONField(default=list, blank=True)  # [{"role", "content"}, …]
    extra = ExactJSONField(default=dict, blank=True)
    layout = models.JSONField(default=list, blank=True)  # ["instruction", "id", "output", …]
    content_hash = models.CharField(max_length=64)

    class Meta:
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["dataset", "position"], name="one_sample_a_position")
        ]

    def __str__(self) -> str:
        return f"#{self.position + 1} {self.instruction[:60]}"

    def as_pair(self) -> Pair:
        turns = tuple(Turn(role=t["role"], content=t["content"]) for t in self.context)
        return Pair(
            instruction=self.instruction, input=self.input, response=self.response, context=turns
        )


class KeptRecord(models.Model):
    """A record that holds nothing to refine. It goes in and out as it is, at its ``position``."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="kept_records")
    position = models.PositiveIntegerField()  # 0-based, one count with the samples'
    line = models.PositiveBigIntegerField()
    reason = models.CharField(max_length=300)
    record = ExactJSONField()

    class Meta:
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["dataset", "position"], name="one_kept_a_position")
        ]

    def __str__(self) -> str:
        return f"#{self.position + 1} kept as is: {self.reason}"

    def as_text(self) -> str:
        """The record as JSON, laid out to be read."""
        return json.dumps(self.record, ensure_ascii=False, indent=2)


class GivenRewrite(models.Model):
    """A rewrite that came with the data. A run of the sample begins with it as a Candidate."""

    class Kind(models.TextChoices):
        INSTRUCTION = "instruction", gettext_lazy("Instruction rewrite")
        RESPONSE = "response", gettext_lazy("Response rewrite")

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="given_rewrites")
    position = models.PositiveIntegerField()  # of its sample
    kind = models.CharField(max_length=12, choices=Kind)
    instruction = models.TextField()
    input = models.TextField(blank=True)
    response = models.TextField()
    criticism = models.TextField(blank=True)

    class Meta:
        ordering = ("position", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "position", "kind"], name="one_given_rewrite_a_phase"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of #{self.position + 1}"
