"""The gate that every question of a run with a budget goes through."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from refinement.method.teacher import TOKENS_PER_PRICE
from refinement.services import budget
from refinement.services.budget import Need, Room

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refinement.method.asking import Message
    from refinement.method.specs import TeacherSpec
    from refinement.models import RunSample
    from refinement.pipeline.database_thread import DatabaseThread

LOOK_SECONDS = 0.1
TOKENS_PER_MESSAGE = 16  # of a chat template around each message


class BudgetSpent(Exception):  # noqa: N818 - nothing is wrong, the money is used
    """The next question does not fit into what is left, with nothing else under way."""


class BudgetGate:
    """Lets questions through one after the other while they fit.

    One that does not fit beside those under way waits, since these will cost less than they may.
    ``closed`` is false where the run has no budget: then nothing is looked up.
    """

    def __init__(self, database: DatabaseThread, spec: TeacherSpec) -> None:
        self.closed = False
        self._database = database
        self._spec = spec
        self._queue = asyncio.Lock()

    async def enter(
        self, row: RunSample, messages: Sequence[Message], may_ask: Callable[[], bool]
    ) -> bool:
        """Whether the question may be asked; False where ``may_ask`` says no meanwhile.

        Raises BudgetSpent.
        """
        if not self.closed:
            return may_ask()
        need = most_of(self._spec, messages)
        async with self._queue:
            while may_ask():
                room = await self._database(
                    budget.reserve, run_id=row.run_id, row_id=row.pk, need=need
                )
                if room is Room.FITS:
                    return True
                if room is Room.SPENT:
                    raise BudgetSpent
                await asyncio.sleep(LOOK_SECONDS)
        return False


def most_of(spec: TeacherSpec, messages: Sequence[Message]) -> Need:
    """A bound that no tokenizer passes: a token is a byte or more."""
    prompt = sum(
        len(message["content"].encode("utf-8", "surrogatepass")) + TOKENS_PER_MESSAGE
        for message in messages
    )
    cost = prompt * Decimal(str(spec.price_prompt)) + spec.max_tokens * Decimal(
        str(spec.price_completion)
    )
    return Need(prompt + spec.max_tokens, cost / TOKENS_PER_PRICE)
