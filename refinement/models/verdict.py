from django.db import models

from refinement.method.pairs import Side
from refinement.models.candidate import Candidate
from refinement.models.run import RunSample

SIDES = [(s.value, s.value) for s in Side]


class Verdict(models.Model):
    """The student's choice for a sample: made in the first phase, completed in the second.

    ``chosen`` is the pair that both choices lead to (null: the original). ``kept`` says whether the
    policy exports it; it stays null until the second choice is made.
    """

    run_sample = models.OneToOneField(RunSample, on_delete=models.CASCADE, related_name="verdict")
    policy = models.CharField(max_length=40)
    policy_version = models.PositiveIntegerField(default=0)  # the run's, when this was judged
    instruction_winner = models.CharField(max_length=10, choices=SIDES)
    instruction_code = models.CharField(max_length=40)
    instruction_sentence = models.CharField(max_length=300)
    instruction_before = models.FloatField(null=True)
    instruction_after = models.FloatField(null=True)
    instruction_margin = models.FloatField(null=True)
    response_winner = models.CharField(max_length=10, choices=SIDES, blank=True)
    response_code = models.CharField(max_length=40, blank=True)
    response_sentence = models.CharField(max_length=300, blank=True)
    response_before = models.FloatField(null=True)
    response_after = models.FloatField(null=True)
    response_margin = models.FloatField(null=True)
    chosen = models.ForeignKey(
        Candidate, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    kept = models.BooleanField(null=True)
    code = models.CharField(max_length=40, blank=True)
    sentence = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.sentence or self.instruction_sentence
