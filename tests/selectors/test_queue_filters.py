"""What narrows the queue, every order from both ends, and the indexes that they walk along."""

from __future__ import annotations

import copy
import random
import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from refinement.method.pairs import Pair
from refinement.models import Flag, Score
from refinement.readmodel.install import rebuild
from refinement.selectors.queue import Order, Queue, QueueFilter, Show, queue_window, texts, walks
from refinement.services.decisions import record_decision
from tests.kept_rows import rows_kept
from tests.plans import plan_of
from tests.review_room import TIPS_INSTRUCTION, Room, make_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.plugin import DjangoDbBlocker

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def kept_room(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Room]:
    with rows_kept(django_db_blocker):
        yield busy_room()


@pytest.fixture
def room(db: None, kept_room: Room) -> Room:
    return copy.deepcopy(kept_room)


def busy_room() -> Room:
    room = make_room()
    chance = random.Random(3)
    for number in range(24):
        room.add(
            Pair(instruction=f"Question {number} on tea", response="Tea " * (number % 5 + 1)),
            instruction=TIPS_INSTRUCTION if number % 3 else None,
            response=Pair(instruction="x", response=f"Answer {number}: brewing, 3.5 minutes"),
            ifd=(0.5, round(chance.uniform(0.3, 1.2), 1)),
            r_ifd=(0.7, round(chance.uniform(0.4, 0.9), 1)),
            kept=bool(number % 4),
        )
    room.add(state="failed", error="refused")
    for number in (1, 5, 9):
        record_decision(run_sample=room.pairs[number], user=room.reviewer, action="drop")
    record_decision(run_sample=room.pairs[5], user=room.owner, action="original")
    Score.objects.filter(run_sample=room.pairs[7]).update(truncated=True)
    rebuild()  # scores are there before the verdict, and not changed by a decision
    record_decision(run_sample=room.pairs[7], user=room.owner, action="accept")
    Flag.objects.create(run_sample=room.pairs[2], user=room.owner)
    return room


def found(room: Room, **query: str) -> list[int]:
    queue = QueueFilter.from_query({"show": "all", **query})
    ids = Queue(room.run, queue).first(100)
    by_id = {pair.pk: pair.position for pair in room.pairs}
    assert sorted(ids) == sorted(Queue(room.run, queue).everything().values_list("pk", flat=True))
    return [by_id[pk] for pk in ids]


@pytest.mark.parametrize("few", [0, 4000], ids=["walked", "led by its index"])
def test_each_filter_by_either_way(room: Room, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few matches are found by their own index and sorted, many are met on the way: the same."""
    monkeypatch.setattr(walks, "FEW", few)
    monkeypatch.setattr(walks, "COVERED", few)
    everything = list(range(25))
    assert found(room) == everything
    assert found(room, decision="drop") == [1, 9]
    assert found(room, reviewer=room.owner.username) == [5, 7]
    assert found(room, reviewer="nobody") == []
    assert found(room, flag="truncated") == [7]
    assert found(room, flag="flagged") == [2]
    assert found(room, verdict="response_not_accepted") == [n for n in range(24) if not n % 4]
    assert found(room, verdict="kept") == [n for n in range(24) if n % 4]
    assert found(room, verdict="none") == [24]
    entries = {pair.position: pair for pair in room.pairs}
    ranged = found(room, ifd_min="0.6", ifd_max="0.9")
    assert ranged
    assert all(0.6 <= entries[n].queue_entry.ifd <= 0.9 for n in ranged)
    assert found(room, q="question 7") == [7]
    assert found(room, q='"answer 11"') == [11]
    assert found(room, q="answer 11 -tea -minutes") == []
    assert found(room, q="answ* 3.5 -tea") == list(range(24))
    assert found(room, q="brew* -8", flag="truncated") == [7]


@pytest.mark.parametrize("order", list(Order))
def test_ranges_leave_an_order_as_it_is(
    room: Room, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    """Met along the order's index, or found by their own and sorted; from both ends, and beside."""
    queue = QueueFilter.from_query({"show": "all", "order": order.value})
    entries = {pair.pk: pair.queue_entry for pair in room.pairs}
    whole = Queue(room.run, queue).first(100)
    for ranges in ({"ifd_min": "0.6"}, {"ifd_max": "0.9", "r_ifd_min": "0.5"}):
        low, high = float(ranges.get("ifd_min", 0)), float(ranges.get("ifd_max", 9))
        least = float(ranges.get("r_ifd_min", -9))
        expected = [
            pk
            for pk in whole
            if entries[pk].ifd is not None
            and low <= entries[pk].ifd <= high
            and (entries[pk].r_ifd or -9) >= least
        ]
        assert 3 < len(expected) < len(whole)
        narrowed = QueueFilter.from_query({"show": "all", "order": order.value} | ranges)
        for lines in (0, 1_000_000):
            monkeypatch.setattr(walks, "LINES", lines)
            walk = Queue(room.run, narrowed)
            assert (walk.leader is None) is (lines == 0)
            assert walk.first(100) == expected
            middle = next(pair for pair in room.pairs if pair.pk == expected[2])
            assert walk.beside(middle, 100) == expected[3:]
            assert walk.beside(middle, 2, back=True) == [expected[1], expected[0]]


@pytest.mark.parametrize(
    "hostile",
    [
        '"',
        "'",
        "*",
        "-",
        "AND OR NOT",
        "tea AND",
        "NEAR(tea",
        "text:tea",
        ") OR 1=1 --",
        "tea\x00",
        "%",
        "&|!<->",
        "\\",
        "^tea",
        "té́a",
        "𝕏" * 300,
    ],
)
def test_whatever_is_typed_means_itself(room: Room, hostile: str) -> None:
    assert isinstance(found(room, q=hostile), list)


@pytest.mark.parametrize("order", list(Order))
def test_every_order_is_the_same_from_both_ends(room: Room, order: Order) -> None:
    queue = QueueFilter(show=Show.ALL, order=order, seed=7)
    forwards = Queue(room.run, queue).first(100)
    assert len(set(forwards)) == 25
    by_id = {pair.pk: pair for pair in room.pairs}
    last = by_id[forwards[-1]]
    assert Queue(room.run, queue).beside(last, 100, back=True) == forwards[-2::-1]
    for place in (0, 7, 23):
        window = queue_window(room.run, queue, around=by_id[forwards[place]], before=3, after=3)
        shown = [line.run_sample_id for line in window.lines]
        assert shown == forwards[max(0, place - 3) : place + 4]


@pytest.mark.parametrize("order", list(Order))
def test_a_list_of_a_mark_by_its_index_is_the_walk_past_all_others(
    room: Room, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = [pair.pk for pair in room.pairs if pair.position % 3 == 1]
    Score.objects.filter(run_sample__in=marked).update(truncated=True)
    rebuild()
    by_id = {pair.pk: pair for pair in room.pairs}

    def lists() -> list[list[int]]:
        found = []
        for show in (Show.ALL, Show.KEPT):
            walk = Queue(room.run, QueueFilter(show=show, order=order, flag="truncated", seed=3))
            forwards = walk.first(100)
            middle = by_id[forwards[len(forwards) // 2]]
            found += [forwards, walk.beside(middle, 2), walk.beside(middle, 2, back=True)]
        return found

    with CaptureQueriesContext(connection) as led:
        by_index = lists()
    assert sorted(by_index[0]) == marked
    assert any("truncated AND cell + 0 IN" in query["sql"] for query in led)
    monkeypatch.setattr(walks, "COVERED", -1)
    with CaptureQueriesContext(connection) as walked:
        assert lists() == by_index
    assert not any("truncated AND cell + 0 IN" in query["sql"] for query in walked)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL knows its tables' sizes")
def test_few_pairs_with_a_word_lead_without_statistics(room: Room) -> None:
    """Or SQLite would read all pairs of the run, as their entries have an index by it."""
    queue = QueueFilter.from_query({"show": "all", "q": "question 7"})
    with CaptureQueriesContext(connection) as asked:
        assert len(Queue(room.run, queue).first(10)) == 1
    for query in asked:
        plan = plan_of(query["sql"])
        assert not re.search(r"refinement_queueentry USING \w+ ?\w* queue_\w+ \(run_id", plan), plan


def test_seeds_shuffle_differently_and_repeatably(room: Room) -> None:
    def shuffled(seed: int) -> list[int]:
        return Queue(room.run, QueueFilter(show=Show.ALL, order=Order.RANDOM, seed=seed)).first(25)

    assert shuffled(1) == shuffled(1)
    assert shuffled(1) != shuffled(2)
    assert sorted(shuffled(1)) != shuffled(1)


def test_links_say_the_whole_filter_and_nothing_else() -> None:
    query = {
        "show": "kept",
        "order": "random",
        "seed": "12",
        "verdict": "ifd_too_high",
        "decision": "edit",
        "reviewer": "Ann O'Neil",
        "phase": "both",
        "flag": "truncated",
        "q": 'green "tea leaves"',
        "ifd_min": "0.5",
        "delta_r_ifd_max": "-0.25",
    }
    assert QueueFilter.from_query(query).as_query() == query
    nonsense = {
        "seed": "x",
        "verdict": "'; drop",
        "decision": "undo",
        "phase": "2",
        "ifd_min": "nan",
    }
    assert QueueFilter.from_query(nonsense) == QueueFilter()
    assert not QueueFilter(show=Show.ALL, order=Order.IFD).is_narrowed


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize(
    "narrowed",
    [{"show": "undecided"}, {"show": "all"}, {"show": "all", "ifd_min": "0.1", "ifd_max": "0.9"}],
    ids=["undecided", "all", "a wide range"],
)
def test_a_page_walks_indexes_and_sorts_no_table(
    room: Room, monkeypatch: pytest.MonkeyPatch, narrowed: dict[str, str], order: Order
) -> None:
    """EXPLAIN of each statement of a window: every range comes from an index of its order."""
    monkeypatch.setattr(walks, "FEW", -1)  # as in a run of which many fulfil the condition
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # the tables of a test are tiny
            cursor.execute("SET LOCAL enable_sort = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            queue = QueueFilter.from_query(narrowed | {"order": order.value})
            queue_window(room.run, queue, around=room.pairs[3])
        walked = [q["sql"] for q in queries if "AS stretch" in q["sql"]]
        assert len(walked) == 2
        for asked in (q["sql"] for q in queries if "EXISTS" in q["sql"]):
            plan = plan_of(asked)  # PostgreSQL takes any index of a table that is this small
            assert "queue_ifd" in plan or connection.vendor == "postgresql", plan
            assert "Seq Scan on refinement_queueentry" not in plan, plan
        for statement in walked:
            plan = plan_of(statement)
            column = walks.SORTINGS[order].column
            indexes = set(re.findall(r"\bqueue_(?!entry)\w+", plan))
            assert indexes == {f"queue_{column}"}, plan
            assert "SCAN refinement_queueentry\n" not in plan, plan
            assert "Seq Scan on refinement_queueentry" not in plan, plan
            if "ifd_min" in narrowed and order is Order.IFD:  # what lies outside is not passed
                assert re.search(r"cell=\? AND ifd>\?|Index Cond: .*ifd >= ", plan), plan


def test_a_word_that_statistics_do_not_know_is_counted(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL expects it in a fixed share of all texts: in a large run, too many to find."""
    monkeypatch.setattr(texts, "COMMON", 0)
    for known in (-1.0, 1_000_000.0):  # it never looked, or it knows of a million
        monkeypatch.setattr(texts, "_texts", lambda _table, known=known: known)
        assert texts.few_with_words(room.run, "tea") is None
        assert texts.few_with_words(room.run, "coffee") == []


def test_a_rare_word_is_looked_for_once_a_page(room: Room) -> None:
    """Then by ids: in a large run PostgreSQL takes it for frequent and looks at every pair."""
    with CaptureQueriesContext(connection) as queries:
        queue = QueueFilter(show=Show.ALL, text="sleep")
        window = queue_window(room.run, queue, around=room.pairs[3])
    assert len(window.lines) > 1
    matching = [q["sql"] for q in queries if "MATCH" in q["sql"] or "@@" in q["sql"]]
    looked = [sql for sql in matching if not sql.startswith("EXPLAIN")]
    assert len(looked) == 2, "in the originals, and in the rewrites"
