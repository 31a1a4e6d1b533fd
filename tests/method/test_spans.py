from __future__ import annotations

from array import array

import pytest

from refinement.method.spans import LossCache, Span, SpanLoss


@pytest.mark.parametrize(("ids", "targets"), [((1, 2), 0), ((1, 2), 2), ((1,), 1), ((), 0)])
def test_a_span_has_a_target_and_something_before_it(ids: tuple[int, ...], targets: int) -> None:
    with pytest.raises(ValueError, match="targets in a span"):
        Span(ids, targets)


def test_spans_differ_by_tokens_and_by_targets() -> None:
    spans = [Span((1, 2, 3), 1), Span((1, 2, 3), 2), Span((1, 2, 4), 1), Span((1, 2), 1)]

    assert len({span.key() for span in spans}) == 4
    assert Span((1, 2, 3), 1).key() == spans[0].key()


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    long = SpanLoss(1.0, tokens=array("f", [1.0] * 200))
    cache = LossCache(size=600)
    cache.put(b"a", long)
    cache.put(b"b", SpanLoss(2.0))
    cache.put(b"b", long)  # in place of what it was
    assert cache.get(b"a") is long

    cache.put(b"c", long)

    assert cache.get(b"b") is None
    assert cache.get(b"a") is cache.get(b"c") is long
    assert len(cache) == 2


def test_ranks_are_part_of_the_question() -> None:
    assert Span((1, 2, 3), 1, ranked=True).key() != Span((1, 2, 3), 1).key()
