from django.db import models

from refinement.models.run import RunSample
from refinement.models.stored_reply import StoredReply


class TeacherCall(StoredReply):
    """One reply of a teacher, stored the moment it arrives: what was paid for is never lost.

    ``request_hash`` covers model, messages and sampling settings. A step that is run again finds
    its stored reply by it and pays nothing; so does the same question about another sample, or in
    another run of the project, whose reply is then copied: ``from_storage``, at no cost. A
    ``discarded`` reply made its sample fail: it stays as
    a record, and a retry of the sample asks anew.
    """

    run_sample = models.ForeignKey(
        RunSample, on_delete=models.CASCADE, related_name="teacher_calls"
    )
    discarded = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)  # for tokens a second

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(
                fields=["run_sample", "step", "attempt", "request_hash"], name="one_reply_a_request"
            )
        ]
