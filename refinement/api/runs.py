"""Runs: started, steered and watched."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TypeVar

from django.db import connection
from django.http import StreamingHttpResponse
from ninja import Router

from refinement.api.auth import READ, WRITE, Request, project_for, run_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import runs as s
from refinement.api.schemas.datasets import DatasetOut
from refinement.api.schemas.trials import prompt_set
from refinement.models import Endpoint, Run, RunSample, Student
from refinement.selectors.failures import failed_sample
from refinement.selectors.runs import failed_samples, run_progress
from refinement.services import models_registry, priorities, starting
from refinement.services import runs as services
from refinement.services.rounds import take_selection

router = Router(tags=["runs"])
T = TypeVar("T")

STREAM_SECONDS = 240.0  # then the client connects again: no thread is held for ever
LOOK_EVERY = 1.0
MOST_STREAMS = 4  # of one web process, which has more threads than that
_streams = threading.BoundedSemaphore(MOST_STREAMS)
OPEN = {Run.Status.RUNNING, Run.Status.PAUSED}


@router.get("/projects/{project_id}/runs", auth=READ, response=c.Page[s.RunOut])
def list_runs(
    request: Request, project_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    return page_of(project_for(request, project_id).runs.all(), cursor=cursor, limit=limit)


@router.post(
    "/projects/{project_id}/runs", auth=WRITE, response={201: s.RunOut}, openapi_extra=HEADER
)
@once(s.RunOut)
def start_run(request: Request, project_id: c.Id, body: s.RunIn) -> Any:
    """All that shapes the result is frozen in the run when it begins."""
    project = project_for(request, project_id, at_least="owner")
    return starting.start_run(
        project=project,
        dataset=_found(project.datasets.filter(pk=body.dataset).first(), "dataset"),
        teacher=_teacher(body.teacher),
        student=_student(body.student),
        policy=body.policy.spec(),
        user=request.user,
        name=body.name,
        protocol=body.protocol,
        template=body.template,
        limit=body.limit,
        prompts=prompt_set(body.prompts),
        reuse=body.reuse,
        budget_tokens=body.budget_tokens,
        budget_cost=body.budget_cost,
        priority=body.priority,
    )


def _teacher(pk: int | None) -> Endpoint:
    if pk is None:
        return models_registry.embedded_teacher()
    return _found(Endpoint.objects.filter(pk=pk).first(), "teacher")


def _student(pk: int | None) -> Student:
    if pk is None:
        return models_registry.embedded_student()
    return _found(Student.objects.filter(pk=pk).first(), "student")


def _found(found: T | None, what: str) -> T:
    if found is None:
        raise Refused(422, f"There is no such {what} here.")
    return found


@router.get("/runs/{run_id}", auth=READ, response=s.RunDetail)
def get_run(request: Request, run_id: c.Id) -> Any:
    run = run_for(request, run_id)
    out = s.RunOut.from_orm(run).dict(by_alias=True)
    return {**out, "config": _public(run.config), "progress": progress_of(run)}


def _public(config: dict[str, Any]) -> dict[str, Any]:
    """Without the teacher's address and the name of its key, which are for admins."""
    teacher = {
        name: value
        for name, value in config.get("teacher", {}).items()
        if name not in {"base_url", "api_key_variable"}
    }
    return {**config, "teacher": teacher}


def progress_of(run: Run) -> dict[str, Any]:
    progress = run_progress(run)
    told = asdict(progress) | {"in_work": progress.in_work, "cost": str(progress.cost)}
    return {name: told[name] for name in s.Progress.model_fields}


@router.get(
    "/runs/{run_id}/events",
    auth=READ,
    response={200: None},
    openapi_extra={"responses": {200: {"content": {"text/event-stream": {}}}}},
)
def watch_run(request: Request, run_id: c.Id) -> StreamingHttpResponse:
    """Server-sent events: ``progress`` with what changed, ``end`` once the run has ended.

    A stream ends after some minutes; connect again, as browsers do by themselves.
    """
    run = run_for(request, run_id)
    if not _streams.acquire(blocking=False):
        words = "Too many watch already. Ask for the run again in a while."
        raise Refused(503, words, Retry_After="5")
    answer = StreamingHttpResponse(_Stream(run), content_type="text/event-stream")
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"
    return answer


class _Stream:
    """The events of one run. Gives its place back however it ends: the server closes it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        yield b"retry: 2000\n\n"
        ends, told = time.monotonic() + STREAM_SECONDS, ""
        while time.monotonic() < ends:
            self._run.refresh_from_db()
            progress = progress_of(self._run)
            text = json.dumps(progress, ensure_ascii=False)
            if text != told:
                told = text
                yield f"event: progress\ndata: {text}\n\n".encode()
            if progress["status"] not in OPEN:
                yield f"event: end\ndata: {text}\n\n".encode()
                return
            connection.close_if_unusable_or_obsolete()
            yield b": still here\n\n"  # so that a client that went away is noticed
            time.sleep(LOOK_EVERY)

    def close(self) -> None:
        if self._open:
            self._open = False
            _streams.release()


@router.post("/runs/{run_id}/pause", auth=WRITE, response=s.RunOut)
def pause_run(request: Request, run_id: c.Id) -> Any:
    run = run_for(request, run_id, at_least="owner")
    services.pause_run(run=run)
    return run


@router.post("/runs/{run_id}/resume", auth=WRITE, response=s.RunOut)
def resume_run(request: Request, run_id: c.Id) -> Any:
    run = run_for(request, run_id, at_least="owner")
    services.resume_run(run=run)
    return run


@router.post("/runs/{run_id}/cancel", auth=WRITE, response=s.RunOut)
def cancel_run(request: Request, run_id: c.Id) -> Any:
    """For good. What is done can still be reviewed and exported."""
    run = run_for(request, run_id, at_least="owner")
    services.cancel_run(run=run)
    return run


@router.post("/runs/{run_id}/priority", auth=WRITE, response=s.RunOut)
def set_priority(request: Request, run_id: c.Id, body: s.PriorityIn) -> Any:
    run = run_for(request, run_id, at_least="owner")
    priorities.set_priority(run=run, priority=body.priority)
    return run


@router.post("/runs/{run_id}/budget", auth=WRITE, response=s.RunOut)
def set_budget(request: Request, run_id: c.Id, body: s.BudgetIn) -> Any:
    """From the next question on. A run that its budget had paused goes on."""
    run = run_for(request, run_id, at_least="owner")
    services.set_budget(run=run, tokens=body.tokens, cost=body.cost)
    return run


@router.post(
    "/runs/{run_id}/next-round", auth=WRITE, response={201: DatasetOut}, openapi_extra=HEADER
)
@once(DatasetOut)
def next_round(request: Request, run_id: c.Id) -> Any:
    """What the run selects now as a dataset, to start a further run from."""
    return take_selection(run=run_for(request, run_id, at_least="owner"), user=request.user)


@router.post("/runs/{run_id}/retry", auth=WRITE, response=c.Count)
def retry_failed(request: Request, run_id: c.Id, body: s.RetryIn) -> Any:
    run = run_for(request, run_id, at_least="owner")
    row = None if body.pair is None else failed_sample(run, body.pair)
    return {"count": services.retry_failed(run=run, run_sample=row, reason=body.reason)}


@router.get("/runs/{run_id}/failures", auth=READ, response=c.Page[s.FailureOut])
def list_failures(
    request: Request, run_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    rows = failed_samples(run_for(request, run_id))
    page = page_of(rows, cursor=cursor, limit=limit, by="position")
    return {**page, "items": [_failure(row) for row in page["items"]]}


def _failure(row: RunSample) -> dict[str, Any]:
    return {
        "id": row.pk,
        "position": row.position,
        "stage": row.stage,
        "reason": row.error_reason,
        "error": row.error,
    }
