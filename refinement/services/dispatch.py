"""Telling the workers that there is work.

A message is only a hint: the database holds the work, and the sweeper repeats every hint that got
lost. So a broker that is down never breaks the request that wanted to send one.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

QUEUES = {
    "refinement.bulk_act": "default",
    "refinement.import_dataset": "default",
    "refinement.write_export": "default",
    "refinement.push_export": "default",
    "refinement.derive": "default",
    "refinement.deliver_webhook": "default",
    "refinement.teach": "teacher",
    "refinement.try_teacher": "teacher",
    "refinement.score": "student",
    "refinement.score_tokens": "student",
    "refinement.embed": "student",
}

Receiver = Callable[[str, int], None]


def wake(task: str, object_id: int) -> None:
    """Send ``task(object_id)`` to its queue once the present transaction is committed."""
    transaction.on_commit(lambda: wake_now(task, object_id))


def wake_now(task: str, object_id: int) -> None:
    """Send at once, without a look at the database: for callers outside of any transaction."""
    _receiver(task, object_id)


@contextmanager
def delivered_to(receiver: Receiver) -> Iterator[None]:
    """While open, this process hands its wakes to ``receiver``, not to the broker.

    For a process that is its own worker, such as ``manage.py refine``.
    """
    global _receiver
    before, _receiver = _receiver, receiver
    try:
        yield
    finally:
        _receiver = before


def wake_another(task: str, object_id: int) -> None:
    """Call one more worker to work that the caller cannot do alone; each may call the next.

    Nothing is sent while a message waits in the queue: then every worker has enough to do.
    """
    if _receiver is _send and not messages_waiting(task):
        _send(task, object_id)


def messages_waiting(task: str) -> int:
    """How many messages wait in the queue of ``task``; 0 where the broker cannot be asked."""
    try:
        with current_app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            return int(connection.default_channel.queue_declare(QUEUES[task]).message_count)
    except OperationalError:
        return 0


def broker_answers() -> bool:
    """Whether messages can be sent now. Soon answered: nobody waits for a broker that is silent."""
    patience = {"socket_connect_timeout": 1, "socket_timeout": 1}
    url = current_app.conf.broker_write_url or current_app.conf.broker_url
    try:
        with current_app.connection(url, transport_options=patience) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
    except OperationalError:
        return False
    return True


def _send(task: str, object_id: int) -> None:
    try:
        current_app.send_task(task, args=[object_id], queue=QUEUES[task], retry=False)
    except OperationalError as error:
        logger.warning("broker unreachable, the sweeper repeats %s: %s", task, error)


_receiver: Receiver = _send
