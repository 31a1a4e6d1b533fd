from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from refinement.method.specs import TeacherSpec
from refinement.method.teacher import request_hash
from refinement.models import Run, RunSample, TeacherCall
from refinement.pipeline.replies import Sharing
from refinement.pipeline.reply_store import (
    as_reply,
    discard_replies,
    discarded_attempts,
    find_reply,
    store_reply,
)

if TYPE_CHECKING:
    from tests.pipeline.world import World

MESSAGES = [{"role": "user", "content": "Why?"}]
DIGEST = request_hash(TeacherSpec(base_url="http://t/v1", model="m"), MESSAGES, 0, None)


@pytest.fixture
def row(world: World) -> RunSample:
    return RunSample.objects.get(run=world.run(1))


def reply(row: RunSample, text: str = "Because.", attempt: int = 0) -> TeacherCall:
    return TeacherCall(
        run_sample=row,
        step="criticise_instruction",
        attempt=attempt,
        request_hash=DIGEST,
        model="m",
        text=text,
        finish_reason="stop",
        prompt_tokens=3,
        completion_tokens=5,
        cost="0.25",
        latency_seconds=1.5,
    )


def test_a_stored_reply_is_found_by_its_question(row: RunSample) -> None:
    assert find_reply(row.pk, "criticise_instruction", 0, DIGEST) is None
    stored = store_reply(row.run_id, reply(row))
    assert find_reply(row.pk, "criticise_instruction", 0, DIGEST) == stored
    assert find_reply(row.pk, "criticise_instruction", 1, DIGEST) is None
    assert find_reply(row.pk, "rewrite_instruction", 0, DIGEST) is None
    told = as_reply(TeacherCall.objects.get())
    assert (told.text, told.finish_reason, told.model) == ("Because.", "stop", "m")
    assert (told.prompt_tokens, told.completion_tokens, told.latency_seconds) == (3, 5, 1.5)


def test_of_two_answers_to_one_question_the_first_stays_and_counts(row: RunSample) -> None:
    store_reply(row.run_id, reply(row, "First."))
    assert store_reply(row.run_id, reply(row, "Second.")).text == "First."
    run = Run.objects.get(pk=row.run_id)
    assert TeacherCall.objects.count() == run.teacher_calls == 1
    assert (run.prompt_tokens, run.completion_tokens, float(run.cost)) == (3, 5, 0.25)


def test_storing_may_be_repeated_after_a_lost_connection(row: RunSample) -> None:
    call = reply(row)
    first = store_reply(row.run_id, call).pk
    assert store_reply(row.run_id, call).pk == first
    assert Run.objects.get(pk=row.run_id).teacher_calls == 1


def test_discarded_replies_push_the_next_attempts_past_them(row: RunSample) -> None:
    store_reply(row.run_id, reply(row, attempt=0))
    store_reply(row.run_id, reply(row, attempt=1))
    assert discarded_attempts([row]) == [{}]
    discard_replies(row, "criticise_instruction")
    assert discarded_attempts([row]) == [{"criticise_instruction": 2}]


async def _ask(sharing: Sharing, told: list[str], name: str, *, fails: bool = False) -> None:
    """As StoredAsk does it, with ``told`` in the place of the store."""
    while True:
        await sharing.wait(DIGEST)
        if "answer" in told:
            told.append(f"{name} reads")
            await asyncio.sleep(0)
            told.append(f"{name} has read")
            return
        with sharing.asking(DIGEST) as free:
            if free:
                await asyncio.sleep(0)
                if fails:
                    raise ConnectionError
                told.append("answer")
                return


def test_one_asks_and_all_others_read_at_once() -> None:
    """Not one after the other: a thousand samples may ask the same."""

    async def all_at_once() -> list[str]:
        sharing, told = Sharing(on=True), list[str]()
        await asyncio.gather(*(_ask(sharing, told, name) for name in "abc"))
        return told

    told = asyncio.run(all_at_once())
    assert told == ["answer", "b reads", "c reads", "b has read", "c has read"]


def test_where_the_first_fails_the_next_asks() -> None:
    async def the_first_fails() -> list[str]:
        sharing, told = Sharing(on=True), list[str]()
        asked = [_ask(sharing, told, name, fails=name == "a") for name in "abc"]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionError, type(None), type(None)]
        return told

    assert asyncio.run(the_first_fails()) == ["answer", "c reads", "c has read"]


def test_where_replies_are_not_shared_everybody_asks() -> None:
    sharing = Sharing(on=False)
    with sharing.asking(DIGEST) as first, sharing.asking(DIGEST) as second:
        assert first
        assert second
