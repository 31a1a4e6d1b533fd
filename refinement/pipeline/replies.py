"""Teacher replies: stored the moment they arrive, found again by whoever asks the same."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F, Max

from refinement.method.pairs import TeacherReply
from refinement.method.teacher import Teacher, cost, request_hash
from refinement.models import Run, RunSample, TeacherCall, TrialCall
from refinement.pipeline import claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refinement.method.asking import Message
    from refinement.pipeline.budget_gate import BudgetGate
    from refinement.pipeline.database_thread import DatabaseThread

STORING_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; a paid reply outlives a database restart


class Halted(Exception):  # noqa: N818 - nothing is wrong, work just stops here
    """The run was paused, the worker stops or lost the row: no further question may be asked."""


class Sharing:
    """Samples that ask the same at the same time: the first asks, the others read its reply."""

    def __init__(self, *, on: bool) -> None:
        self.on = on
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, digest: str) -> AbstractAsyncContextManager[None]:
        """While open, nobody else here asks the question of this hash."""
        if not self.on:
            return nullcontext()
        return self._turns.setdefault(digest, asyncio.Lock())


@dataclass
class StoredAsk:
    """Asks the teacher for one sample, through the store of its replies.

    A question that was answered before, perhaps by a worker that died since, is answered from the
    store and costs nothing. Raises what ``Teacher.ask`` raises, and Halted.
    """

    row: RunSample
    teacher: Teacher
    database: DatabaseThread
    may_ask: Callable[[], bool]
    answered: Callable[[], None]
    gate: BudgetGate
    sharing: Sharing
    last_step: str = ""
    last_call_id: int | None = None

    async def __call__(
        self,
        *,
        step: str,
        messages: Sequence[Message],
        attempt: int,
        json_schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> TeacherReply:
        self.last_step = step
        number = attempt + await self.database(discarded_attempts, self.row.pk, step)
        digest = request_hash(self.teacher.spec, messages, number, json_schema, max_tokens)
        call = await self.database(find_reply, self.row.pk, step, number, digest)
        if call is None:
            async with self.sharing.turn(digest):
                stored = await self._from_storage(digest)
                reply = stored or await self._from_teacher(messages, json_schema, max_tokens)
                # Shielded: a reply that is here is stored, even if the worker stops now.
                call = await asyncio.shield(
                    self._store(step, number, digest, reply, from_storage=stored is not None)
                )
        self.last_call_id = call.pk
        return as_reply(call)

    async def _from_storage(self, digest: str) -> TeacherReply | None:
        if not self.sharing.on:
            return None
        return await self.database(find_same_question, self.row.run_id, digest)

    async def _from_teacher(
        self,
        messages: Sequence[Message],
        json_schema: Mapping[str, Any] | None,
        max_tokens: int | None,
    ) -> TeacherReply:
        may_ask = await self.gate.enter(self.row, messages, self.may_ask)
        # Who froze and lost the row meanwhile leaves it to the one who asks now.
        if not may_ask or not await self.database(is_ours, self.row):
            raise Halted
        reply = await self.teacher.ask(messages, json_schema=json_schema, max_tokens=max_tokens)
        self.answered()
        return reply

    async def _store(
        self, step: str, number: int, digest: str, reply: TeacherReply, *, from_storage: bool
    ) -> TeacherCall:
        call = TeacherCall(
            run_sample_id=self.row.pk,
            step=step,
            attempt=number,
            request_hash=digest,
            model=reply.model,
            text=reply.text,
            finish_reason=reply.finish_reason,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cost=0 if from_storage else cost(self.teacher.spec, reply),
            from_storage=from_storage,
            latency_seconds=reply.latency_seconds,
        )
        store = partial(store_reply, budgeted=self.gate.closed)
        for wait in STORING_WAITS:
            try:
                return await self.database(store, self.row.run_id, call)
            except (OperationalError, InterfaceError):
                await asyncio.sleep(wait)
        return await self.database(store, self.row.run_id, call)


def is_ours(row: RunSample) -> bool:
    return claims.ours([row]).exists()


def find_reply(row_id: int, step: str, number: int, digest: str) -> TeacherCall | None:
    return TeacherCall.objects.filter(
        run_sample_id=row_id, step=step, attempt=number, request_hash=digest
    ).first()


def find_same_question(run_id: int, digest: str) -> TeacherReply | None:
    """A reply to the same question about any sample, in this run or another of its project.

    Of the same endpoint alone: two servers may call different models by one name. A reply that made
    its sample fail is asked for anew.
    """
    project_id, teacher_id = Run.objects.values_list("project_id", "teacher_id").get(pk=run_id)
    return find_stored(project_id, teacher_id, digest)


def find_stored(project_id: int, teacher_id: int, digest: str) -> TeacherReply | None:
    """What a run or a trial of this project was answered to the same question by this teacher."""
    call = TeacherCall.objects.filter(
        request_hash=digest,
        discarded=False,
        run_sample__run__project_id=project_id,
        run_sample__run__teacher_id=teacher_id,
    ).first()
    tried = TrialCall.objects.filter(
        request_hash=digest, trial__project_id=project_id, trial__teacher_id=teacher_id
    )
    found = call or tried.first()
    return as_reply(found) if found else None


def discarded_attempts(row_id: int, step: str) -> int:
    """How many attempts at a step were spent in vain before the sample was last retried."""
    last = TeacherCall.objects.filter(run_sample_id=row_id, step=step, discarded=True)
    number = last.aggregate(last=Max("attempt"))["last"]
    return 0 if number is None else number + 1


def store_reply(run_id: int, call: TeacherCall, *, budgeted: bool = True) -> TeacherCall:
    """Store a reply and count what it cost. Storing an answer twice keeps and counts the first.

    ``budgeted``: something was held back for it, which is free again.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                call.pk = None  # set by an earlier try that was rolled back
                call.save(force_insert=True)
        except IntegrityError:  # another worker asked the same: its answer came first
            stored = find_reply(call.run_sample_id, call.step, call.attempt, call.request_hash)
            if stored is None:  # the run was deleted meanwhile
                raise
            return stored
        if call.from_storage:
            Run.objects.filter(pk=run_id).update(stored_answers=F("stored_answers") + 1)
            return call
        if budgeted:
            RunSample.objects.filter(pk=call.run_sample_id).update(
                reserved_tokens=0, reserved_cost=0
            )
        Run.objects.filter(pk=run_id).update(
            teacher_calls=F("teacher_calls") + 1,
            prompt_tokens=F("prompt_tokens") + call.prompt_tokens,
            completion_tokens=F("completion_tokens") + call.completion_tokens,
            cost=F("cost") + call.cost,
        )
    return call


def discard_replies(row: RunSample, step: str) -> None:
    """Mark the replies of a step as useless, so that a retry asks anew."""
    TeacherCall.objects.filter(run_sample_id=row.pk, step=step).update(discarded=True)


def as_reply(call: TeacherCall | TrialCall) -> TeacherReply:
    return TeacherReply(
        text=call.text,
        finish_reason=call.finish_reason,
        model=call.model,
        prompt_tokens=call.prompt_tokens,
        completion_tokens=call.completion_tokens,
        latency_seconds=call.latency_seconds,
    )
