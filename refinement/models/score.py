from django.db import models
from django.db.models import Q

from refinement.method.pairs import PairLosses, Scores, Status, UnscorableReason
from refinement.models.candidate import Candidate
from refinement.models.run import RunSample


class ScoreManager(models.Manager["Score"]):
    def get_queryset(self) -> models.QuerySet["Score"]:
        """Without the token losses, which are large and seldom looked at."""
        return super().get_queryset().defer("token_losses")


class Score(models.Model):
    """What the student says of the original (``candidate`` null) or of a rewrite."""

    run_sample = models.ForeignKey(RunSample, on_delete=models.CASCADE, related_name="scores")
    candidate = models.OneToOneField(
        Candidate, null=True, blank=True, on_delete=models.CASCADE, related_name="score"
    )
    status = models.CharField(max_length=10, choices=[(s.value, s.value) for s in Status])
    reason = models.CharField(
        max_length=12, blank=True, choices=[(r.value, r.value) for r in UnscorableReason]
    )
    loss_instruction = models.FloatField(null=True)
    loss_response = models.FloatField(null=True)
    loss_instruction_given_response = models.FloatField(null=True)
    loss_response_given_instruction = models.FloatField(null=True)
    ifd = models.FloatField(null=True)
    r_ifd = models.FloatField(null=True)
    s_ifd = models.FloatField(null=True)
    grape = models.FloatField(null=True)
    rsr = models.FloatField(null=True)
    coherence = models.FloatField(null=True)  # where an encoder was named: models/embedding.py
    instruction_tokens = models.PositiveIntegerField(default=0)
    response_tokens = models.PositiveIntegerField(default=0)
    truncated = models.BooleanField(default=False)
    straddled = models.BooleanField(default=False)
    token_losses = models.BinaryField(null=True)  # of the response: method/token_archive.py
    template = models.CharField(max_length=40)
    student_fingerprint = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)  # for pairs a second

    objects = ScoreManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run_sample"],
                condition=Q(candidate__isnull=True),
                name="one_score_of_the_original",
            )
        ]
        indexes = [
            models.Index(  # few of many, which every export and summary counts
                fields=["run_sample"],
                condition=Q(status=Status.UNSCORABLE.value),
                name="score_unscorable",
            )
        ]

    def __str__(self) -> str:
        return f"IFD {self.ifd}, r-IFD {self.r_ifd}"

    def as_scores(self) -> Scores:
        return Scores(
            status=Status(self.status),
            reason=UnscorableReason(self.reason),
            losses=PairLosses(
                instruction=self.loss_instruction,
                response=self.loss_response,
                instruction_given_response=self.loss_instruction_given_response,
                response_given_instruction=self.loss_response_given_instruction,
            ),
            instruction_tokens=self.instruction_tokens,
            response_tokens=self.response_tokens,
            truncated=self.truncated,
            straddled=self.straddled,
            s_ifd=self.s_ifd,
            rsr=self.rsr,
            coherence=self.coherence,
        )
