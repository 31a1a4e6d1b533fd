from __future__ import annotations

import asyncio
from typing import Any

import pytest

from refinement.pipeline.grouped import LARGEST, Grouped


class Desk:
    """In place of the database's thread: does what it is asked after a turn of the loop."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    async def __call__(self, work: Any, items: list[int]) -> Any:
        await asyncio.sleep(0)
        self.groups.append(items)
        return work(items)


def doubled(items: list[int]) -> list[int]:
    if 13 in items:
        raise ValueError("unlucky")
    return [2 * item for item in items]


def ask_all(items: list[int]) -> tuple[list[Any], list[list[int]]]:
    async def run() -> list[Any]:
        grouped = Grouped(desk, doubled)  # type: ignore[arg-type]
        found = await asyncio.gather(*map(grouped, items), return_exceptions=True)
        await grouped.settled()
        return found

    desk = Desk()
    return asyncio.run(run()), desk.groups


def test_what_comes_together_is_done_together_and_each_gets_its_own() -> None:
    answers, groups = ask_all([1, 2, 3])

    assert answers == [2, 4, 6]
    assert groups == [[1, 2, 3]]


def test_a_group_has_a_bound() -> None:
    answers, groups = ask_all(list(range(1000, 1000 + LARGEST + 1)))

    assert answers[-1] == 2 * (1000 + LARGEST)
    assert [len(group) for group in groups] == [LARGEST, 1]


def test_one_bad_item_fails_nobody_else() -> None:
    answers, groups = ask_all([1, 13, 2])

    assert answers[0::2] == [2, 4]
    assert isinstance(answers[1], ValueError)
    assert groups == [[1, 13, 2], [1], [13], [2]]


def test_who_is_cancelled_holds_up_nobody() -> None:
    async def run() -> int:
        grouped = Grouped(Desk(), doubled)  # type: ignore[arg-type]
        gone, here = (asyncio.create_task(grouped(item)) for item in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await here

    assert asyncio.run(run()) == 4
