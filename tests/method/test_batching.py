from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from refinement.method.batching import fill, pack, share
from refinement.method.spans import Span


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


# -- Sharing --------------------------------------------------------------------------------------
heads = st.sampled_from([(), (1,) * 9, (1,) * 30, (1,) * 9 + (2,) * 20])


@st.composite
def spans_alike(draw: st.DrawFn) -> list[Span]:
    spans = []
    for head in draw(st.lists(heads, max_size=12)):
        tail = draw(st.lists(st.integers(0, 3), min_size=2, max_size=40))
        ids = (*head, *tail)
        spans.append(Span(ids, draw(st.integers(1, len(ids) - 1))))
    return spans


@given(spans=spans_alike())
def test_a_group_begins_alike_and_leaves_each_span_its_targets(spans: list[Span]) -> None:
    groups = share(spans)

    assert sorted(index for group in groups for index in group.members) == list(range(len(spans)))
    for group in groups:
        begun = {spans[index].ids[: group.shared] for index in group.members}
        assert len(begun) == 1
        assert group.shared == 0 or len(group.members) > 1
        for index in group.members:
            assert spans[index].width - spans[index].targets >= group.shared


@given(spans=spans_alike(), budget=st.integers(1, 200))
def test_packs_hold_every_span_once_and_keep_to_the_budget(spans: list[Span], budget: int) -> None:
    packs = fill(spans, budget=budget)

    assert sorted(index for one in packs for index in one) == list(range(len(spans)))
    for one in packs:
        inside = [spans[index] for index in one]
        tokens = sum(
            group.shared + sum(inside[index].width - group.shared for index in group.members)
            for group in share(inside)
        )
        assert tokens <= budget or len(one) == 1


def test_a_longer_beginning_is_not_given_up_for_one_more_member() -> None:
    preamble, guess = (1,) * 10, (2,) * 30
    spans = [Span((*preamble, 5, n, n), 1) for n in range(6, 9)]
    spans += [Span((*preamble, *guess, n, n), 1) for n in range(6, 9)]

    assert sorted(group.shared for group in share(spans)) == [11, 40]
