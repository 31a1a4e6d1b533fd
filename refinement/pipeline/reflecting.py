"""The teacher's two stages of one sample: reflect on the instruction, reflect on the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from refinement.method.pairs import Reflection, Side
from refinement.method.reflection import PromptSet, reflect_on_instruction, reflect_on_response
from refinement.models import Candidate, RunSample, Verdict
from refinement.pipeline import claims
from refinement.pipeline.replies import StoredAsk, discard_replies

if TYPE_CHECKING:
    from refinement.method.errors import ReplyError

Kind, Stage = Candidate.Kind, RunSample.Stage


async def reflect(row: RunSample, ask: StoredAsk) -> bool:
    """Let the teacher rewrite what the sample's stage asks for, and save that.

    Returns whether it was saved: not where the row was lost to another worker meanwhile. Raises
    ReplyError, TransientTeacherError, PermanentTeacherError and Halted.
    """
    protocol = ask.teacher.spec.protocol
    words = PromptSet.from_dict(row.run.config.get("prompts", {}))
    if row.stage == Stage.REFLECT_INSTRUCTION:
        parent = None
        reflection = await reflect_on_instruction(row.sample.as_pair(), ask, protocol, words)
    else:
        parent = await ask.database(accepted_instruction, row)
        base = parent.as_pair() if parent else row.sample.as_pair()
        reflection = await reflect_on_response(base, ask, protocol, words)
    return await ask.database(save_reflection, row, reflection, parent, ask.last_call_id)


def accepted_instruction(row: RunSample) -> Candidate | None:
    """The instruction candidate that the student accepted, if it did."""
    verdict = Verdict.objects.get(run_sample_id=row.pk)
    if verdict.instruction_winner != Side.CANDIDATE:
        return None
    return Candidate.objects.select_related("run_sample__sample").get(
        run_sample_id=row.pk, kind=Kind.INSTRUCTION
    )


def save_reflection(
    row: RunSample, reflection: Reflection, parent: Candidate | None, call_id: int | None
) -> bool:
    """Candidate and change of stage in one transaction, where the row is still ours."""
    first = row.stage == Stage.REFLECT_INSTRUCTION
    with transaction.atomic():
        held = claims.lock_ours([row])
        if not held:
            return False
        Candidate.objects.create(
            run_sample_id=row.pk,
            kind=Kind.INSTRUCTION if first else Kind.RESPONSE,
            parent=parent,
            instruction=reflection.pair.instruction,
            input=reflection.pair.input,
            response=reflection.pair.response,
            criticism=reflection.criticism,
            teacher_call_id=call_id,
        )
        claims.advance(held, Stage.SELECT_INSTRUCTION if first else Stage.SELECT_RESPONSE)
    return True


def fail_for_reply(row: RunSample, step: str, error: ReplyError) -> None:
    """Set the sample aside with what was wrong; its useless replies are not used by a retry."""
    with transaction.atomic():
        if claims.fail(row, reason=error.reason, error=str(error)):
            discard_replies(row, step)
