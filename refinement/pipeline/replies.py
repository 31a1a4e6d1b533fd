"""Asking through the store: what was answered before is found, what arrives is stored at once."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from django.db import InterfaceError, OperationalError

from refinement.method.teacher import Teacher, request_hash
from refinement.models import RunSample, TeacherCall
from refinement.pipeline.reply_store import (
    Known,
    Question,
    Shelf,
    as_reply,
    is_ours,
    stored_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refinement.method.asking import Message
    from refinement.method.pairs import TeacherReply
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
    shelf: Shelf
    last_step: str = ""
    last_call_id: int | None = None
    _discarded: Mapping[str, int] | None = field(default=None, init=False)  # nobody else adds any

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
        if self._discarded is None:
            self._discarded = await self.shelf.discarded(self.row)
        number = attempt + self._discarded.get(step, 0)
        digest = request_hash(self.teacher.spec, messages, number, json_schema, max_tokens)
        async with self.sharing.turn(digest):
            known = await self.shelf.look(Question(self.row, step, number, digest))
            call = known.call
            if call is None:
                reply = known.same or await self._from_teacher(
                    known, messages, json_schema, max_tokens
                )
                # Shielded: a reply that is here is stored, even if the worker stops now.
                call = await asyncio.shield(
                    self._store(step, number, digest, reply, again=known.same is not None)
                )
        self.last_call_id = call.pk
        return as_reply(call)

    async def _from_teacher(
        self,
        known: Known,
        messages: Sequence[Message],
        json_schema: Mapping[str, Any] | None,
        max_tokens: int | None,
    ) -> TeacherReply:
        ours = known.ours
        may_ask = await self.gate.enter(self.row, messages, self.may_ask)
        if may_ask and self.gate.closed:  # there it may have waited for long
            ours = await self.database(is_ours, self.row)
        # Who froze and lost the row meanwhile leaves it to the one who asks now.
        if not may_ask or not ours:
            raise Halted
        reply = await self.teacher.ask(messages, json_schema=json_schema, max_tokens=max_tokens)
        self.answered()
        return reply

    async def _store(
        self, step: str, number: int, digest: str, reply: TeacherReply, *, again: bool
    ) -> TeacherCall:
        fields = stored_fields(
            self.teacher.spec, reply, step=step, attempt=number, digest=digest, again=again
        )
        call = TeacherCall(run_sample_id=self.row.pk, **fields)
        for wait in STORING_WAITS:
            try:
                return await self.shelf.store(call)
            except (OperationalError, InterfaceError):
                await asyncio.sleep(wait)
        return await self.shelf.store(call)
