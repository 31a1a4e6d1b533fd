"""Which queues have a worker that lives."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models.functions import Now

from refinement.models import Worker
from refinement.selectors.kept_statements import kept_statement

if TYPE_CHECKING:
    from django.db.models import QuerySet

SWEEPER = "sweeper"  # the row that the sweeper writes: it shows that beat lives
ALIVE_FOR = timedelta(seconds=20)  # since a worker last said so; they say it every 5 s


def queues_alive() -> frozenset[str]:
    """The names of the queues that some worker has served lately."""
    return frozenset(queue for queues in _served() for queue in queues)


@kept_statement
def _served() -> "QuerySet[Worker, list[str]]":
    recent = Worker.objects.filter(seen_at__gte=Now() - ALIVE_FOR)
    return recent.values_list("queues", flat=True)
