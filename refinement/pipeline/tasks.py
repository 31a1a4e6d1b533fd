"""The Celery tasks. Each is a shell: the rules are in the stages and services that it calls."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from refinement.pipeline import (
    embedding,
    scoring,
    sweeper,
    teaching,
    token_scoring,
    trials,
    webhooks,
)
from refinement.pipeline.heartbeats import Heartbeat
from refinement.pipeline.shutdown import stopping
from refinement.services import bulk_acts, deriving, exports, importing, pushes, runs
from srt_web.logs import about

_heartbeats: list[Heartbeat] = []


@shared_task(name="refinement.import_dataset")
def import_dataset(dataset_id: int) -> None:
    with about(dataset=dataset_id):
        importing.import_dataset(dataset_id=dataset_id)


@shared_task(name="refinement.write_export")
def write_export(export_id: int) -> None:
    with about(export=export_id):
        exports.write_export(export_id=export_id)


@shared_task(name="refinement.derive")
def derive(run_id: int) -> None:
    with about(run=run_id):
        if deriving.derive(run_id, stopping=stopping.is_set):
            runs.complete_if_finished(run_id=run_id)


@shared_task(name="refinement.deliver_webhook")
def deliver_webhook(delivery_id: int) -> None:
    with about(delivery=delivery_id):
        webhooks.deliver(delivery_id)


@shared_task(name="refinement.bulk_act")
def bulk_act(act_id: int) -> None:
    bulk_acts.perform(act_id=act_id)


@shared_task(name="refinement.push_export")
def push_export(push_id: int) -> None:
    pushes.push_export(push_id=push_id)


@shared_task(name="refinement.teach")
def teach(run_id: int) -> None:
    with about(run=run_id):
        teaching.teach(run_id, stopping=stopping)


@shared_task(name="refinement.try_teacher")
def try_teacher(trial_id: int) -> None:
    trials.try_teacher(trial_id)


@shared_task(name="refinement.score")
def score(run_id: int) -> None:
    with about(run=run_id):
        scoring.score(run_id, stopping=stopping)


@shared_task(name="refinement.score_tokens")
def score_tokens(run_sample_id: int) -> None:
    token_scoring.score_tokens(run_sample_id)


@shared_task(name="refinement.embed")
def embed(run_id: int) -> None:
    embedding.embed_for_policy(run_id, stopping=stopping)


@shared_task(name="refinement.sweep")
def sweep() -> None:
    sweeper.sweep()


@worker_ready.connect
def _begin_heartbeat(sender: Any, **_: Any) -> None:
    queues = list(sender.app.amqp.queues.consume_from)
    heartbeat = Heartbeat(host=sender.hostname, queues=queues)
    heartbeat.start()
    _heartbeats.append(heartbeat)


@worker_shutting_down.connect
def _stop_loops(**_: Any) -> None:
    stopping.set()


@worker_shutdown.connect
def _end_heartbeat(**_: Any) -> None:
    while _heartbeats:
        _heartbeats.pop().stop()
