"""Bulk acts: gathered once, done in batches, resumed after a kill, undone without harm."""

from __future__ import annotations

from collections import Counter

import pytest

from refinement.models import Assignment, BulkAct, BulkItem, Decision, Flag, RunSample
from refinement.selectors.queue import QueueFilter, Show, queue_counts
from refinement.services import bulk_acts as bulk
from refinement.services.bulk_acts import perform, restore_run, start_act, undo_act
from refinement.services.decisions import record_decision, undo_decision
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from tests.review_room import TIPS_RESPONSE, Room, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    room = make_room()
    room.fill(5)
    room.add(kept=False)
    room.add(state="failed", error="refused")
    return room


def counting(room: Room) -> list[str]:
    """What counts for each pair, in order."""
    rows = RunSample.objects.filter(run=room.run).order_by("position")
    return [action or "" for action in rows.values_list("decision__action", flat=True)]


def begin(room: Room, action: str, queue: QueueFilter | None = None, **more: object) -> BulkAct:
    queue = queue or QueueFilter()
    with delivered_to(lambda *_: None):
        expected = queue_counts(room.run).of(queue.show)
        return start_act(
            run=room.run, user=room.owner, action=action, queue=queue, expected=expected, **more
        )


def do(act: BulkAct) -> BulkAct:
    perform(act_id=act.pk)
    act.refresh_from_db()
    return act


def undo(room: Room, act: BulkAct) -> BulkAct:
    act.refresh_from_db()
    with delivered_to(lambda *_: None):
        undo_act(act=act, user=room.owner)
    return do(act)


def test_dropping_all_that_is_undecided_and_one_undo(room: Room) -> None:
    record_decision(run_sample=room.pairs[0], user=room.reviewer, action="accept")
    act = do(begin(room, "drop"))
    assert (act.status, act.matched, act.done, act.skipped) == ("done", 6, 6, 0)
    assert counting(room) == ["accept"] + ["drop"] * 6
    assert {d.act_id for d in Decision.objects.filter(action="drop")} == {act.pk}
    assert queue_counts(room.run).dropped == 6
    again = record_decision(run_sample=room.pairs[3], user=room.reviewer, action="original")
    act = undo(room, act)
    assert (act.status, act.undone, act.left) == ("undone", 5, 1)
    assert counting(room) == ["accept", "", "", "original", "", "", ""]
    undo_decision(run_sample=room.pairs[3], user=room.reviewer, seen=again.pk)
    assert counting(room)[3] == "drop"
    with pytest.raises(ServiceError, match="Only an act that is done"):
        undo_act(act=act, user=room.owner)


def test_an_act_over_decisions_restores_them(room: Room) -> None:
    for pair, action in zip(room.pairs, ("accept", "drop", "original"), strict=False):
        record_decision(run_sample=pair, user=room.reviewer, action=action)
    act = do(begin(room, "original", QueueFilter(show=Show.DECIDED)))
    assert counting(room)[:3] == ["original"] * 3
    undo(room, act)
    assert counting(room) == ["accept", "drop", "original", "", "", "", ""]


def test_accepting_leaves_out_what_has_no_verdict(room: Room) -> None:
    act = do(begin(room, "accept"))
    assert (act.matched, act.done, act.skipped) == (7, 6, 1)
    assert counting(room) == ["accept"] * 6 + [""]


def test_only_what_the_filter_matches(room: Room) -> None:
    act = do(
        begin(room, "drop", QueueFilter(ranges=QueueFilter.from_query({"r_ifd_min": "0.6"}).ranges))
    )
    touched = [pair.position for pair in room.pairs if pair.decisions.exists()]
    assert act.done == len(touched)
    assert touched == [2, 3, 4, 5]


def test_a_worker_that_dies_between_batches_is_followed(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    act = begin(room, "drop")
    batches = Counter[str]()
    plain = bulk._lock

    def dying(ids: list[int]) -> dict[int, RunSample]:
        batches["n"] += 1
        if batches["n"] == 3:
            raise KeyboardInterrupt
        return plain(ids)

    monkeypatch.setattr(bulk, "_lock", dying)
    with pytest.raises(KeyboardInterrupt):
        perform(act_id=act.pk)
    assert counting(room).count("drop") == 4
    meanwhile = record_decision(run_sample=room.pairs[5], user=room.reviewer, action="original")
    BulkAct.objects.filter(pk=act.pk).update(lease_expires_at="2000-01-01T00:00:00Z")
    act = do(act)
    assert (act.status, act.done, act.skipped) == ("done", 6, 1)
    assert counting(room).count("drop") == 6
    assert RunSample.objects.get(pk=room.pairs[5].pk).decision == meanwhile
    assert Decision.objects.filter(act=act).count() == 6


def test_flags_and_assignments_and_their_undo(room: Room) -> None:
    Flag.objects.create(run_sample=room.pairs[0], user=room.reviewer)
    act = do(begin(room, "flag"))
    assert (act.done, act.skipped) == (6, 1)
    undo(room, act)
    assert list(Flag.objects.values_list("run_sample", flat=True)) == [room.pairs[0].pk]
    act = do(begin(room, "assign", assignee=room.reviewer))
    assert Assignment.objects.filter(user=room.reviewer).count() == act.done == 7
    undo(room, act)
    assert not Assignment.objects.exists()
    with pytest.raises(ServiceError, match="who may review"):
        begin(room, "assign", assignee=room.viewer)


def test_restoring_a_point_and_undoing_that(room: Room) -> None:
    one, two = room.pairs[:2]
    point = record_decision(run_sample=one, user=room.reviewer, action="accept")
    later = record_decision(run_sample=two, user=room.reviewer, action="drop")
    record_decision(run_sample=one, user=room.reviewer, action="original")
    do(begin(room, "drop"))
    with delivered_to(lambda *_: None):
        act = restore_run(run=room.run, user=room.owner, through=point)
    act = do(act)
    assert counting(room) == ["accept"] + [""] * 6
    assert act.done == 7
    with delivered_to(lambda *_: None):
        second = do(restore_run(run=room.run, user=room.owner, through=later))
    assert counting(room)[:2] == ["accept", "drop"]
    undo(room, second)
    assert counting(room) == ["accept"] + [""] * 6
    undo(room, act)
    assert counting(room) == ["original"] + ["drop"] * 6


def test_nothing_to_do_is_refused(room: Room) -> None:
    with pytest.raises(ServiceError, match="Nothing matches"):
        begin(room, "drop", QueueFilter(show=Show.DECIDED))
    with pytest.raises(ServiceError, match="Choose accept"):
        begin(room, "explode")
    assert not BulkItem.objects.exists()


def test_done_once_however_often_the_message_comes(room: Room) -> None:
    act = do(begin(room, "drop"))
    do(act)
    assert Decision.objects.count() == 7


def test_texts_find_their_pairs(room: Room) -> None:
    pair = room.add(response=TIPS_RESPONSE)
    act = do(begin(room, "flag", QueueFilter(text='"whole grains" -evidence')))
    assert pair.pk in set(Flag.objects.filter(act=act).values_list("run_sample", flat=True))
