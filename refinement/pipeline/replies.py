"""Teacher replies: stored the moment they arrive, found again by whoever asks the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F, Max

from refinement.method.pairs import TeacherReply
from refinement.method.teacher import Teacher, cost, request_hash
from refinement.models import Run, RunSample, TeacherCall
from refinement.pipeline import claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refinement.method.asking import Message
    from refinement.pipeline.database_thread import DatabaseThread

STORING_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; a paid reply outlives a database restart


class Halted(Exception):  # noqa: N818 - nothing is wrong, work just stops here
    """The run was paused, the worker stops or lost the row: no further question may be asked."""


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
            # Who froze and lost the row meanwhile leaves it to the one who asks now.
            if not self.may_ask() or not await self.database(is_ours, self.row):
                raise Halted
            reply = await self.teacher.ask(messages, json_schema=json_schema, max_tokens=max_tokens)
            self.answered()
            # Shielded: a reply that is here is stored, even if the worker stops at this moment.
            call = await asyncio.shield(self._store(step, number, digest, reply))
        self.last_call_id = call.pk
        return as_reply(call)

    async def _store(self, step: str, number: int, digest: str, reply: TeacherReply) -> TeacherCall:
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
            cost=cost(self.teacher.spec, reply),
            latency_seconds=reply.latency_seconds,
        )
        for wait in STORING_WAITS:
            try:
                return await self.database(store_reply, self.row.run_id, call)
            except (OperationalError, InterfaceError):
                await asyncio.sleep(wait)
        return await self.database(store_reply, self.row.run_id, call)


def is_ours(row: RunSample) -> bool:
    return claims.ours([row]).exists()


def find_reply(row_id: int, step: str, number: int, digest: str) -> TeacherCall | None:
    return TeacherCall.objects.filter(
        run_sample_id=row_id, step=step, attempt=number, request_hash=digest
    ).first()


def discarded_attempts(row_id: int, step: str) -> int:
    """How many attempts at a step were spent in vain before the sample was last retried."""
    last = TeacherCall.objects.filter(run_sample_id=row_id, step=step, discarded=True)
    number = last.aggregate(last=Max("attempt"))["last"]
    return 0 if number is None else number + 1


def store_reply(run_id: int, call: TeacherCall) -> TeacherCall:
    """Store a reply and count what it cost. Storing an answer twice keeps and counts the first."""
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


def as_reply(call: TeacherCall) -> TeacherReply:
    return TeacherReply(
        text=call.text,
        finish_reason=call.finish_reason,
        model=call.model,
        prompt_tokens=call.prompt_tokens,
        completion_tokens=call.completion_tokens,
        latency_seconds=call.latency_seconds,
    )
