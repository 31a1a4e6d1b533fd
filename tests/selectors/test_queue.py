"""The review queue: filters, both orders, windows and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.models import Verdict
from refinement.selectors.queue import (
    Mark,
    Order,
    QueueFilter,
    Show,
    next_pair,
    queue_counts,
    queue_window,
)
from refinement.selectors.queue.stretches import on_from, stretches_of
from refinement.services.decisions import record_decision
from tests.review_room import TIPS, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from refinement.models import RunSample

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    return make_room()


def walk(room: Room, queue: QueueFilter) -> list[int]:
    """Positions in the order in which a reviewer who decides nothing meets them."""
    by_id = {pair.pk: pair for pair in room.pairs}
    met: list[RunSample] = []
    found = next_pair(room.run, queue)
    while found is not None and by_id[found] not in met:
        met.append(by_id[found])
        found = next_pair(room.run, queue, after=met[-1])
    return [pair.position for pair in met]


@pytest.mark.parametrize("back", [False, True])
def test_on_the_way_through_the_shuffle_a_pair_s_place_is_the_bound_to_begin_at(
    room: Room, back: bool
) -> None:
    """Beside the start of the shuffle SQLite would begin there, however far it is."""
    pair, queue = room.add(response=TIPS_RESPONSE), QueueFilter(order=Order.RANDOM, seed=5)
    start = stretches_of(queue)[0].values[0]
    parts = on_from(queue, pair, start + 7, back=back)
    first, second = on_from(queue, pair, start - 7, back=back), stretches_of(queue)
    place = ((start + 7, pair.position), (start - 7, pair.position))
    if back:
        assert [part.values for part in parts] == [(start, *place[0])]
        assert [part.values for part in first] == [second[0].values, place[1]]
    else:
        assert [part.values for part in parts] == [place[0], second[1].values]
        assert [part.values for part in first] == [(start, *place[1])]


def test_each_filter_holds_its_pairs(room: Room) -> None:
    kept, turned_down = room.add(response=TIPS_RESPONSE), room.add(kept=False)
    failed, working = room.add(state="failed", error="refused"), room.add(state="ready")
    dropped, rescued = room.add(response=TIPS_RESPONSE), room.add(kept=False)
    accepted = room.add(kept=False)
    for pair, action in ((dropped, "drop"), (rescued, "original"), (accepted, "accept")):
        record_decision(run_sample=pair, user=room.reviewer, action=action)
    record_decision(run_sample=working, user=room.reviewer, action="drop")

    expected = {
        Show.UNDECIDED: [kept, turned_down, failed],
        Show.DECIDED: [working, dropped, rescued, accepted],
        Show.KEPT: [kept, rescued],
        Show.DROPPED: [turned_down, working, dropped, accepted],
        Show.FAILED: [failed],
        Show.ALL: [kept, turned_down, failed, dropped, rescued, accepted],
    }
    counts = queue_counts(room.run)
    for show, pairs in expected.items():
        assert walk(room, QueueFilter(show=show)) == [pair.position for pair in pairs], show
        assert counts.of(show) == len(pairs), show
    assert (counts.total, counts.unfinished) == (7, 1)


def test_the_closest_call_comes_first_and_pairs_without_one_last(room: Room) -> None:
    for after in (0.5, 0.69, 0.6):
        room.add(response=TIPS_RESPONSE, r_ifd=(0.7, after))
    room.add(state="failed", error="refused")
    room.add(kept=False)
    room.add(response=TIPS_RESPONSE, r_ifd=(0.7, 0.6))
    by_margin = QueueFilter(show=Show.ALL, order=Order.MARGIN)
    assert walk(room, by_margin) == [1, 2, 5, 0, 3, 4]
    assert walk(room, QueueFilter(show=Show.ALL)) == [0, 1, 2, 3, 4, 5]


def test_the_margin_is_the_smaller_of_the_two(room: Room) -> None:
    pair = room.fill(1)[0]
    Verdict.objects.filter(run_sample=pair).update(instruction_margin=0.02, response_margin=0.3)
    line = queue_window(room.run, QueueFilter(), around=pair).lines[0]
    assert line.margin == 0.02
    Verdict.objects.filter(run_sample=pair).update(instruction_margin=None)
    line = queue_window(room.run, QueueFilter(), around=pair).lines[0]
    assert line.margin == 0.3


@pytest.mark.parametrize("order", list(Order))
def test_a_window_shows_neighbours_in_order(room: Room, order: Order) -> None:
    room.fill(9)
    queue = QueueFilter(show=Show.ALL, order=order)
    positions = walk(room, queue)
    middle = room.pairs[positions[4]]
    window = queue_window(room.run, queue, around=middle, before=2, after=3)
    assert [line.position for line in window.lines] == positions[2:8]
    assert [line.current for line in window.lines] == [False, False, True, False, False, False]
    assert window.previous_id == room.pairs[positions[3]].pk
    assert window.next_id == room.pairs[positions[5]].pk
    assert (window.more_before, window.more_after) == (True, True)
    whole = queue_window(room.run, queue, around=middle)
    assert [line.position for line in whole.lines] == positions
    assert (whole.more_before, whole.more_after) == (False, False)


def test_the_pair_on_screen_is_listed_even_outside_its_filter(room: Room) -> None:
    room.fill(3)
    record_decision(run_sample=room.pairs[1], user=room.reviewer, action="drop")
    window = queue_window(room.run, QueueFilter(), around=room.pairs[1])
    assert [line.position for line in window.lines] == [0, 1, 2]
    line = window.lines[1]
    assert (line.current, line.decided, line.mark) == (True, True, Mark.DROPPED)


def test_next_goes_round_and_ends_with_the_last(room: Room) -> None:
    first, second, third = room.fill(3)
    queue = QueueFilter()
    assert next_pair(room.run, queue) == first.pk
    assert next_pair(room.run, queue, after=second) == third.pk
    assert next_pair(room.run, queue, after=third) == first.pk
    for pair in (first, second):
        record_decision(run_sample=pair, user=room.reviewer, action="accept")
    assert next_pair(room.run, queue, after=second) == third.pk
    assert next_pair(room.run, queue, after=third) is None
    record_decision(run_sample=third, user=room.reviewer, action="accept")
    assert next_pair(room.run, queue) is None


def test_only_this_run(room: Room) -> None:
    other = make_room("Other")
    other.fill(2)
    assert next_pair(room.run, QueueFilter(show=Show.ALL)) is None
    assert queue_counts(room.run).total == 0


def test_titles_are_short_and_on_one_line(room: Room) -> None:
    pair = room.add(type(TIPS)(instruction="a \n\n b" + "x" * 5000, response="y"))
    title = queue_window(room.run, QueueFilter(), around=pair).lines[0].title
    assert title.startswith("a b")
    assert len(title) <= 90


@pytest.mark.parametrize("order", list(Order))
def test_the_number_of_queries_is_constant(
    room: Room, order: Order, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    room.fill(2)
    queue = QueueFilter(order=order)
    # Where it stands (in the file's order that is known), a walk in each direction, the lines.
    cost = 3 if order is Order.POSITION else 4
    with django_assert_num_queries(cost):
        queue_window(room.run, queue, around=room.pairs[1])
    room.fill(20)
    with django_assert_num_queries(cost):
        queue_window(room.run, queue, around=room.pairs[1])


def test_a_query_string_of_nonsense_is_the_default() -> None:
    assert QueueFilter.from_query({"show": "mine", "order": "; drop"}) == QueueFilter()
    asked = QueueFilter.from_query({"show": "failed", "order": "margin"})
    assert asked == QueueFilter(show=Show.FAILED, order=Order.MARGIN)
