"""Asking through the store: what was answered before is found, what arrives is stored at once."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
        self._asked: dict[str, asyncio.Event] = {}

    async def wait(self, digest: str) -> None:
        """Until nobody here asks the question of this hash."""
        while (asked := self._asked.get(digest)) is not None:
            await asked.wait()

    @contextmanager
    def asking(self, digest: str) -> Iterator[bool]:
        """Whether nobody asks it yet. If so, others wait while this is open."""
        if not self.on or digest in self._asked:
            yield not self.on
            return
        asked = self._asked[digest] = asyncio.Event()
        try:
            yield True
        finally:
            del self._asked[digest]
            asked.set()


@dataclass(frozen=True, slots=True)
class Words:
    """What a question says, as ``Teacher.ask`` takes it."""

    messages: Sequence[Message]
    json_schema: Mapping[str, Any] | None
    max_tokens: int | None


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
        question = Question(self.row, step, number, digest)
        call = await self._answer(question, Words(messages, json_schema, max_tokens))
        self.last_call_id = call.pk
        return as_reply(call)

    async def _answer(self, question: Question, words: Words) -> TeacherCall:
        while True:
            await self.sharing.wait(question.digest)
            known = await self.shelf.look(question)
            if known.call is not None:
                return known.call
            if known.same is not None:
                return await asyncio.shield(self._store(question, known.same, again=True))
            with self.sharing.asking(question.digest) as free:
                if free:
                    reply = await self._from_teacher(known, words)
                    # Shielded: a reply that is here is stored, even if the worker stops now.
                    return await asyncio.shield(self._store(question, reply, again=False))

    async def _from_teacher(self, known: Known, words: Words) -> TeacherReply:
        ours = known.ours
        may_ask = await self.gate.enter(self.row, words.messages, self.may_ask)
        if may_ask and self.gate.closed:  # there it may have waited for long
            ours = await self.database(is_ours, self.row)
        # Who froze and lost the row meanwhile leaves it to the one who asks now.
        if not may_ask or not ours:
            raise Halted
        reply = await self.teacher.ask(
            words.messages, json_schema=words.json_schema, max_tokens=words.max_tokens
        )
        self.answered()
        return reply

    async def _store(self, question: Question, reply: TeacherReply, *, again: bool) -> TeacherCall:
        fields = stored_fields(
            self.teacher.spec,
            reply,
            step=question.step,
            attempt=question.number,
            digest=question.digest,
            again=again,
        )
        call = TeacherCall(run_sample_id=self.row.pk, **fields)
        for wait in STORING_WAITS:
            try:
                return await self.shelf.store(call)
            except (OperationalError, InterfaceError):
                await asyncio.sleep(wait)
        return await self.shelf.store(call)
