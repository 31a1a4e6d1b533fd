from __future__ import annotations

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
    cache = LossCache(size=2)
    cache.put(b"a", SpanLoss(1.0))
    cache.put(b"b", SpanLoss(2.0))
    assert cache.get(b"a") == SpanLoss(1.0)

    cache.put(b"c", SpanLoss(3.0))

    assert cache.get(b"b") is None
    assert cache.get(b"a") == SpanLoss(1.0)
    assert cache.get(b"c") == SpanLoss(3.0)
    assert len(cache) == 2
