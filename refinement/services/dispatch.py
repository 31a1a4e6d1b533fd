"""Telling the workers that there is work.

A message is only a hint: the database holds the work, and the sweeper repeats every hint that got
lost. So a broker that is down never breaks the request that wanted to send one.
"""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

QUEUES = {
    "refinement.import_dataset": "default",
    "refinement.write_export": "default",
    "refinement.teach": "teacher",
    "refinement.score": "student",
}


def wake(task: str, object_id: int) -> None:
    """Send ``task(object_id)`` to its queue once the present transaction is committed."""
    transaction.on_commit(lambda: _send(task, object_id))


def _send(task: str, object_id: int) -> None:
    try:
        current_app.send_task(task, args=[object_id], queue=QUEUES[task], retry=False)
    except OperationalError as error:
        logger.warning("broker unreachable, the sweeper repeats %s: %s", task, error)
