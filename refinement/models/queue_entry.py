from django.conf import settings
from django.db import models

from refinement.models.run import Run, RunSample

_OF_A_LIST = (
    *("run", "position", "cell", "margin", "ifd", "r_ifd", "length", "disagreement", "shuffle"),
    "run_sample",
)


class QueueEntry(models.Model):
    """What the queue sorts and filters a pair by, in one row of plain columns.

    The database itself writes it (``refinement.readmodel``), in the transaction that changes the
    pair's state, verdict or decision; nobody else does. There is none before the student has made
    its first choice, unless the pair failed or was decided earlier.
    """

    class Cell(models.IntegerChoices):
        """Each pair stands in one; every list of the queue is a few of them."""

        IN_WORK = 0
        OPEN_KEPT = 1  # nobody has decided: the verdict counts
        OPEN_DROPPED = 2
        OPEN_FAILED = 3
        SAID_KEPT = 4  # a person has decided
        SAID_DROPPED = 5
        SAID_FAILED = 6
        EARLY_KEPT = 7  # a person has decided before the machines were done
        EARLY_DROPPED = 8

    class Judged(models.IntegerChoices):
        NOT = 0
        HALF = 1  # the instruction alone
        WHOLE = 2

    INSTRUCTION, RESPONSE = 1, 2  # bits of `accepted`

    run_sample = models.OneToOneField(
        RunSample, primary_key=True, on_delete=models.CASCADE, related_name="queue_entry"
    )
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False)
    position = models.PositiveIntegerField()
    cell = models.PositiveSmallIntegerField(choices=Cell)
    action = models.CharField(max_length=10, blank=True)  # of the decision that counts
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    decided_at = models.DateTimeField(null=True)
    judged = models.PositiveSmallIntegerField(choices=Judged)
    verdict_kept = models.BooleanField(null=True)
    verdict_code = models.CharField(max_length=40, blank=True)
    accepted = models.PositiveSmallIntegerField()  # rewrites that the student took, as bits
    margin = models.FloatField(null=True)  # the smaller of its two: how close its closest call was
    ifd = models.FloatField(null=True)  # of the pair that the student's choices led to
    r_ifd = models.FloatField(null=True)
    delta_ifd = models.FloatField(null=True)  # rewrite less what it would replace, as compared
    delta_r_ifd = models.FloatField(null=True)
    tokens_before = models.PositiveIntegerField(null=True)  # of the original response
    tokens_after = models.PositiveIntegerField(null=True)  # of the chosen response
    length = models.PositiveIntegerField()  # characters of the pair that was chosen
    truncated = models.BooleanField()  # any of its texts was cut for the student
    unscorable = models.BooleanField()  # any of its versions
    straddled = models.BooleanField()  # a token stands across the border of prompt and target
    disagreement = models.PositiveSmallIntegerField()  # 1: with the verdict, 2: among people, 3
    shuffle = models.PositiveIntegerField()  # a number as good as random, below 2**31

    class Meta:
        indexes = [
            # Each order within each cell: a list is a walk along a few of these.
            models.Index(fields=["run", "cell", "position"], name="queue_position"),
            models.Index(fields=["run", "cell", "margin", "position"], name="queue_margin"),
            models.Index(fields=["run", "cell", "ifd", "position"], name="queue_ifd"),
            models.Index(fields=["run", "cell", "r_ifd", "position"], name="queue_r_ifd"),
            models.Index(fields=["run", "cell", "delta_ifd", "position"], name="queue_delta_ifd"),
            models.Index(
                fields=["run", "cell", "delta_r_ifd", "position"], name="queue_delta_r_ifd"
            ),
            models.Index(fields=["run", "cell", "length", "position"], name="queue_length"),
            models.Index(
                fields=["run", "cell", "disagreement", "position"], name="queue_disagreement"
            ),
            models.Index(fields=["run", "cell", "shuffle", "position"], name="queue_shuffle"),
            # Rare ones are found first and sorted afterwards.
            models.Index(fields=["run", "decided_by", "position"], name="queue_reviewer"),
            models.Index(fields=["run", "action", "position"], name="queue_action"),
            models.Index(fields=["run", "verdict_code", "position"], name="queue_code"),
            # Of a mark all that a list is ordered and filtered by: such a list reads this alone.
            *(
                models.Index(
                    fields=(*_OF_A_LIST, mark),
                    condition=models.Q(**{mark: True}),
                    name=f"queue_{mark}",
                )
                for mark in ("truncated", "unscorable", "straddled")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_sample}: {self.get_cell_display()}"


class RunCount(models.Model):
    """Counts of a run, kept by the database itself: the figure is the sum of a key's rows.

    PostgreSQL adds a row for each change, so that fifty reviewers never wait for one row, and the
    sweeper folds them; SQLite, which has one writer anyway, changes the row. Keys: ``state:`` stage
    and state of samples, ``reason:`` why they failed, ``cell:`` of the queue, ``judged:`` what the
    student chose.
    """

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=80)
    n = models.BigIntegerField()
    tokens_before = models.BigIntegerField(default=0)  # summed where the response was accepted
    tokens_after = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["run", "key"], name="counts_of_a_run")]

    def __str__(self) -> str:
        return f"{self.key} {self.n:+}"
