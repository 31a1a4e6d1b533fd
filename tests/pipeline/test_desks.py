from __future__ import annotations

from refinement.pipeline.desks import Desks


def test_one_loop_a_run_and_the_second_stirs_the_first() -> None:
    desks, stirred = Desks(), []
    desk = desks.take(1, lambda: stirred.append("first"))
    assert desk is not None
    assert desks.take(1, lambda: stirred.append("second")) is None
    assert stirred == ["first"]
    assert desks.take(2, lambda: None) is not None, "another run is another desk"


def test_who_was_called_looks_again_before_leaving() -> None:
    desks = Desks()
    desk = desks.take(1, lambda: None)
    assert desk is not None
    desks.take(1, lambda: None)
    assert not desks.leave(desk)
    desks.hear(desk)
    assert desks.leave(desk)
    assert desks.take(1, lambda: None) is not None


def test_a_loop_that_left_cannot_clear_its_successors_desk() -> None:
    desks = Desks()
    first = desks.take(1, lambda: None)
    assert first is not None
    desks.leave(first, heedless=True)
    second = desks.take(1, lambda: None)
    assert second is not None
    desks.leave(first, heedless=True)
    assert desks.take(1, lambda: None) is None, "the second still sits there"
