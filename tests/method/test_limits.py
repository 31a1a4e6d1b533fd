import asyncio
import time

import pytest

from refinement.method.limits import LONGEST_WAIT_SECONDS, AdaptiveLimit, back_off


def test_the_limit_halves_once_for_a_burst_and_grows_slowly():
    limit = AdaptiveLimit(16)
    began = time.monotonic()
    for _ in range(10):
        limit.overloaded(began)
    assert limit.limit == 8
    limit.overloaded(time.monotonic())
    assert limit.limit == 4
    for _ in range(4):
        limit.answered()
    assert limit.limit == 4
    limit.answered()
    assert limit.limit == 5
    for _ in range(1000):
        limit.answered()
    assert limit.limit == 16


def test_the_limit_never_falls_below_one():
    limit = AdaptiveLimit(3)
    for _ in range(9):
        limit.overloaded(time.monotonic())
    assert limit.limit == 1


def test_places_go_round_in_order():
    async def go():
        limit = AdaptiveLimit(2)
        order = []

        async def one(number):
            async with limit.slot():
                assert limit.in_flight <= 2
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*map(one, range(9)))
        assert limit.in_flight == 0
        return order

    assert asyncio.run(go()) == list(range(9))


@pytest.mark.parametrize("let_in_first", [False, True])
def test_a_cancelled_request_gives_its_place_back(let_in_first):
    async def go():
        limit = AdaptiveLimit(1)
        holder = limit.slot()
        await holder.__aenter__()

        async def wait_for_a_place():
            async with limit.slot():
                pass

        waiting = asyncio.create_task(wait_for_a_place())
        await asyncio.sleep(0)  # it waits now
        if let_in_first:
            await holder.__aexit__(None, None, None)
            waiting.cancel()
        else:
            waiting.cancel()
            await holder.__aexit__(None, None, None)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert limit.in_flight == 0
        async with limit.slot():
            assert limit.in_flight == 1

    asyncio.run(go())


def test_all_requests_keep_the_wait_that_one_was_told():
    async def go():
        limit = AdaptiveLimit(2)
        told = time.monotonic()
        limit.overloaded(told, 0.1)
        async with limit.slot() as began:
            return began - told

    assert asyncio.run(go()) >= 0.09


def test_the_back_off_doubles_within_its_spread_and_is_capped():
    for tries, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (99, LONGEST_WAIT_SECONDS)):
        waits = [back_off(tries, 0.5) for _ in range(50)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(set(waits)) > 1


def test_a_used_up_rate_limit_is_waited_for():
    async def go():
        limit = AdaptiveLimit(4)
        limit.rates.heed(
            {
                "x-ratelimit-limit-requests": "10",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
            }
        )
        told = time.monotonic()
        async with limit.slot() as began:
            return began - told

    assert asyncio.run(go()) >= 0.09, "a tenth of the second in which all ten come back"
