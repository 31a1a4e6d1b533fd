from django.db import models

from refinement.models.score import Score


class Embedding(models.Model):
    """Where a scored pair lies among the subjects, under a sentence encoder.

    ``vector``: the unit vector of instruction and response together, d numbers of 16 bits.
    """

    score = models.OneToOneField(Score, on_delete=models.CASCADE, related_name="embedding")
    encoder = models.CharField(max_length=500)  # the folder that the encoder was read from
    vector = models.BinaryField()

    def __str__(self) -> str:
        return f"embedding of score {self.score_id}"
