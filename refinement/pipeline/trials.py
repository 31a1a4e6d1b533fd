"""Asking a teacher about a few samples before a run: both reflections of each, all at once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.method.errors import MethodError, ReplyError
from refinement.method.reflection import PromptSet, reflect_on_instruction, reflect_on_response
from refinement.method.specs import TeacherSpec
from refinement.method.teacher import Teacher, request_hash
from refinement.models import Sample, Trial, TrialCall
from refinement.pipeline import engines
from refinement.pipeline.database_thread import DatabaseThread
from refinement.pipeline.reply_store import find_stored, stored_fields
from refinement.services.leases import Lease, LeaseLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from refinement.method.asking import Message
    from refinement.method.pairs import Reflection, TeacherReply

logger = logging.getLogger(__name__)


def try_teacher(trial_id: int) -> None:
    """Ask, and keep what came: replies as they arrive, what was read from them at the end."""
    lease = Lease.claim(Trial, trial_id, waiting=Trial.Status.PENDING, working=Trial.Status.RUNNING)
    if lease is None:
        return
    trial = Trial.objects.select_related("dataset").get(pk=trial_id)
    try:
        outcomes = asyncio.run(_try(trial, lease))
    except MethodError as error:
        ending: dict[str, Any] = {"status": Trial.Status.FAILED, "error": str(error)}
    else:
        ending = {"status": Trial.Status.DONE, "outcomes": outcomes}
    try:
        lease.finish(**ending)
    except LeaseLost:
        logger.warning("trial %d: given up meanwhile", trial_id)


async def _try(trial: Trial, lease: Lease) -> list[dict[str, Any]]:
    spec = TeacherSpec.from_dict(trial.config["teacher"])
    words = PromptSet.from_dict(trial.config["prompts"])
    async with DatabaseThread() as database, engines.open_teacher(spec) as teacher:
        samples = await database(
            lambda: list(trial.dataset.samples.filter(position__in=trial.positions))
        )
        renewing = asyncio.create_task(_renew(lease, database))
        try:
            return await asyncio.gather(
                *(
                    _outcome(sample, TrialAsk(trial, sample, teacher, database), words, number)
                    for number, sample in enumerate(samples)
                )
            )
        finally:
            renewing.cancel()


async def _renew(lease: Lease, database: DatabaseThread) -> None:
    while True:
        await asyncio.sleep(1.0)
        if lease.nearly_over():
            await database(lease.renew)


async def _outcome(sample: Sample, ask: TrialAsk, words: PromptSet, number: int) -> dict[str, Any]:
    """Both reflections of a sample, as JSON.

    The second starts from the rewritten pair for every other sample, and from the original for the
    rest: which one it will be in a run, only the student can say. Raises MethodError where the
    teacher is at fault, not the sample.
    """
    pair, protocol = sample.as_pair(), ask.teacher.spec.protocol
    first = await _reflect(reflect_on_instruction(pair, ask, protocol, words))
    reflection = first.pop("reflection")
    base = reflection.pair if reflection is not None and number % 2 else pair
    second = await _reflect(reflect_on_response(base, ask, protocol, words))
    second.pop("reflection")
    return {"position": sample.position, "instruction": first, "response": second}


async def _reflect(reflecting: Awaitable[Reflection]) -> dict[str, Any]:
    try:
        reflection = await reflecting
    except ReplyError as error:
        return {"reflection": None, "error": str(error)}
    return {
        "reflection": reflection,
        "criticism": reflection.criticism,
        "new_instruction": reflection.pair.instruction,
        "new_response": reflection.pair.response,
    }


@dataclass
class TrialAsk:
    """Asks for one sample of a trial, unless the very question was answered before."""

    trial: Trial
    sample: Sample
    teacher: Teacher
    database: DatabaseThread

    async def __call__(
        self,
        *,
        step: str,
        messages: Sequence[Message],
        attempt: int,
        json_schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> TeacherReply:
        digest = request_hash(self.teacher.spec, messages, attempt, json_schema, max_tokens)
        stored = await self.database(
            find_stored, self.trial.project_id, self.trial.teacher_id, [digest]
        )
        reply = stored.get(digest) or await self.teacher.ask(
            messages, json_schema=json_schema, max_tokens=max_tokens
        )
        again = digest in stored
        fields = stored_fields(
            self.teacher.spec, reply, step=step, attempt=attempt, digest=digest, again=again
        )
        call = TrialCall(trial=self.trial, position=self.sample.position, **fields)
        await asyncio.shield(self.database(call.save))
        return reply
