"""The teacher's two stages of one sample: reflect on the instruction, reflect on the response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from refinement.method.pairs import Reflection, Side
from refinement.method.reflection import PromptSet, reflect_on_instruction, reflect_on_response
from refinement.models import Candidate, RunSample, Verdict
from refinement.pipeline import claims
from refinement.pipeline.grouped import Grouped
from refinement.pipeline.reply_store import discard_replies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.method.errors import ReplyError
    from refinement.pipeline.database_thread import DatabaseThread
    from refinement.pipeline.replies import StoredAsk

Kind, Stage = Candidate.Kind, RunSample.Stage
NEXT = {
    Stage.REFLECT_INSTRUCTION: Stage.SELECT_INSTRUCTION,
    Stage.REFLECT_RESPONSE: Stage.SELECT_RESPONSE,
}


@dataclass(frozen=True, slots=True)
class Reflected:
    """A reflection that is to be saved, with the reply that it was read from."""

    row: RunSample
    reflection: Reflection
    parent: Candidate | None
    call_id: int | None


class Bench:
    """Where the reflections of one loop are begun and put down, many at a time."""

    def __init__(self, database: DatabaseThread) -> None:
        self.parents = Grouped(database, accepted_instructions)
        self.save = Grouped(database, save_reflections)


async def reflect(row: RunSample, ask: StoredAsk, bench: Bench) -> bool:
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
        parent = await bench.parents(row)
        base = parent.as_pair() if parent else row.sample.as_pair()
        reflection = await reflect_on_response(base, ask, protocol, words)
    return await bench.save(Reflected(row, reflection, parent, ask.last_call_id))


def accepted_instructions(rows: Sequence[RunSample]) -> list[Candidate | None]:
    """The instruction candidate of each row that the student accepted, if it did."""
    accepted = Verdict.objects.filter(
        run_sample_id__in=[row.pk for row in rows], instruction_winner=Side.CANDIDATE
    )
    candidates = Candidate.objects.select_related("run_sample__sample").filter(
        run_sample_id__in=accepted.values("run_sample_id"), kind=Kind.INSTRUCTION
    )
    found = {candidate.run_sample_id: candidate for candidate in candidates}
    return [found.get(row.pk) for row in rows]


def save_reflections(made: Sequence[Reflected]) -> list[bool]:
    """Candidates and changes of stage in one transaction, for the rows that are still ours.

    Returns for which it was saved.
    """
    with transaction.atomic():
        held = claims.lock_ours(one.row for one in made)
        kept = [one for one in made if one.row.pk in held]
        Candidate.objects.bulk_create(_candidate(one) for one in kept)
        for stage, next_stage in NEXT.items():
            claims.advance([one.row.pk for one in kept if one.row.stage == stage], next_stage)
    return [one.row.pk in held for one in made]


def _candidate(one: Reflected) -> Candidate:
    pair = one.reflection.pair
    return Candidate(
        run_sample_id=one.row.pk,
        kind=Kind.INSTRUCTION if one.row.stage == Stage.REFLECT_INSTRUCTION else Kind.RESPONSE,
        parent=one.parent,
        instruction=pair.instruction,
        input=pair.input,
        response=pair.response,
        criticism=one.reflection.criticism,
        teacher_call_id=one.call_id,
    )


def fail_for_reply(row: RunSample, step: str, error: ReplyError) -> None:
    """Set the sample aside with what was wrong; its useless replies are not used by a retry."""
    with transaction.atomic():
        if claims.fail(row, reason=error.reason, error=str(error)):
            discard_replies(row, step)
