"""Which queues have a worker that lives."""

from datetime import timedelta

from django.db.models.functions import Now

from refinement.models import Worker

SWEEPER = "sweeper"  # the row that the sweeper writes: it shows that beat lives
ALIVE_FOR = timedelta(seconds=20)  # since a worker last said so; they say it every 5 s


def queues_alive() -> frozenset[str]:
    """The names of the queues that some worker has served lately."""
    recent = Worker.objects.filter(seen_at__gte=Now() - ALIVE_FOR)
    return frozenset(
        queue for queues in recent.values_list("queues", flat=True) for queue in queues
    )
