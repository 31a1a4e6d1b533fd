from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from refinement.method.batching import pack


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_every_index_is_in_exactly_one_batch_within_the_budget(
    lengths: list[int], budget: int
) -> None:
    batches = pack(lengths, budget=budget)

    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= budget or len(batch) == 1


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_longest_come_first(lengths: list[int], budget: int) -> None:
    order = [lengths[index] for batch in pack(lengths, budget=budget) for index in batch]

    assert order == sorted(lengths, reverse=True)


def test_a_batch_is_filled_before_the_next_begins() -> None:
    assert pack([5, 9, 5, 4], budget=10) == [[1], [0, 2], [3]]
