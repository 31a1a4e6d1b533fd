from django.db import models

from refinement.method.pairs import Pair, Turn
from refinement.models.dataset import Dataset
from refinement.models.fields import ExactJSONField


class Sample(models.Model):
    """One original pair.

    ``extra`` keeps every other field of its record and ``layout`` the order of all of them, so that
    an export can put each back in its place. An empty layout is the plain order of Alpaca.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="samples")
    position = models.PositiveIntegerField()  # 0-based, among the accepted records
    line = models.PositiveBigIntegerField()  # 1-based, in the file
    instruction = models.TextField()
    input = models.TextField(blank=True)
    response = models.TextField(blank=True)
    context = models.JSONField(default=list, blank=True)  # [{"role", "content"}, …]
    extra = ExactJSONField(default=dict, blank=True)
    layout = models.JSONField(default=list, blank=True)  # ["instruction", "id", "output", …]
    content_hash = models.CharField(max_length=64, db_index=True)

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
