"""What the database keeps by itself agrees with what a look at all rows says, whatever is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.db.models import Sum

from refinement.models import QueueEntry, Run, RunCount, RunSample, Sample, Verdict
from refinement.readmodel.install import PREFIX, _present, install, rebuild, without_triggers
from refinement.selectors.queue.counts import counts_of
from refinement.selectors.queue.texts import ids_with_words, pairs_with_words
from refinement.services.decisions import record_decision, undo_decision
from refinement.services.opinions import give_opinion, withdraw_opinion
from refinement.services.review_plans import set_plan
from refinement.services.run_counts import fold_counts
from tests.review_room import TIPS_INSTRUCTION, TIPS_RESPONSE, Room, make_room

if TYPE_CHECKING:
    from typing import Any

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    """Every kind of pair, with decisions of every kind on some."""
    room = make_room()
    room.fill(3)
    room.add(instruction=TIPS_INSTRUCTION, response=TIPS_RESPONSE, kept=False)
    room.add(kept=False)
    room.add(state="failed", error="refused")
    room.add(state="ready")
    for pair, action in zip(room.pairs, ("accept", "drop", "original"), strict=False):
        record_decision(run_sample=pair, user=room.reviewer, action=action)
    record_decision(run_sample=room.pairs[6], user=room.owner, action="drop")
    rebuild()  # the room scores a failed pair after its failure, which the pipeline never does
    return room


def kept() -> tuple[list[dict[str, Any]], dict[str, tuple[int, int, int]]]:
    entries = list(QueueEntry.objects.order_by("run_sample").values())
    sums = RunCount.objects.values("run_id", "key").annotate(
        count=Sum("n"), before=Sum("tokens_before"), after=Sum("tokens_after")
    )
    counted = {
        f"{row['run_id']} {row['key']}": (row["count"], row["before"], row["after"])
        for row in sums.order_by()
        if row["count"]
    }
    return entries, counted


def assert_true(room: Room) -> None:
    """Made anew from all rows, entries and counts are what they were."""
    before = kept()
    rebuild()
    after = kept()
    assert after[0] == before[0]
    assert after[1] == before[1]
    assert counts_of(room.run).total == RunSample.objects.filter(run=room.run).count()


def test_all_that_happens_to_a_pair_is_seen(room: Room) -> None:
    assert_true(room)
    undo_decision(run_sample=room.pairs[1], user=room.owner)
    record_decision(run_sample=room.pairs[2], user=room.owner, action="drop")
    assert QueueEntry.objects.get(pk=room.pairs[2].pk).disagreement == 3
    assert_true(room)
    RunSample.objects.filter(run=room.run, state="failed").update(state="ready", error_reason="")
    assert not counts_of(room.run).reasons
    assert_true(room)
    Verdict.objects.filter(run_sample__run=room.run).update(kept=True, code="kept", chosen=None)
    assert QueueEntry.objects.filter(verdict_kept=True).count() == 5
    assert_true(room)


def test_opinions_that_lead_to_different_texts_are_a_disagreement(room: Room) -> None:
    pair = room.pairs[3]
    assert pair.decision is None
    set_plan(run=room.run, reviewers_per_pair=2, blind=True, seed=1, by=room.owner)

    def disagreement() -> int:
        assert_true(room)
        return QueueEntry.objects.get(pk=pair.pk).disagreement

    give_opinion(run_sample=pair, user=room.reviewer, action="original")
    assert disagreement() == 0
    give_opinion(run_sample=pair, user=room.owner, action="drop")
    assert disagreement() == 2
    withdraw_opinion(run_sample=pair, user=room.owner)
    assert disagreement() == 0


def test_a_deleted_run_leaves_nothing(room: Room) -> None:
    room.run.delete()
    assert not QueueEntry.objects.exists()
    fold_counts()
    assert not RunCount.objects.exists()


def test_folding_changes_no_sum(room: Room) -> None:
    RunCount.objects.bulk_create(
        RunCount(run=room.run, key="cell:1", n=sign) for sign in (1, -1) for _ in range(150)
    )
    _, before = kept()
    assert fold_counts() > 250
    assert kept()[1] == before
    assert RunCount.objects.filter(run=room.run).count() < 30


def test_lost_triggers_come_back_with_what_they_missed(room: Room) -> None:
    names = _present(connection)
    with without_triggers():
        assert not _present(connection)
        RunSample.objects.filter(pk=room.pairs[3].pk).update(
            decision=None, state="failed", stage="select_response"
        )
    assert _present(connection) == names
    assert all(name.startswith(PREFIX) for name in names)
    assert QueueEntry.objects.get(pk=room.pairs[3].pk).cell == QueueEntry.Cell.OPEN_FAILED
    install()
    assert_true(room)


def test_the_entry_says_what_the_pair_is(room: Room) -> None:
    entry = QueueEntry.objects.get(pk=room.pairs[0].pk)
    assert entry.cell == QueueEntry.Cell.SAID_KEPT
    assert (entry.ifd, entry.accepted, entry.judged) == (0.9, 3, 2)
    assert entry.r_ifd == pytest.approx(0.4)
    assert entry.delta_r_ifd == pytest.approx(-0.3)
    assert (entry.tokens_before, entry.tokens_after) == (24, 64)
    early = QueueEntry.objects.get(pk=room.pairs[6].pk)
    assert early.cell == QueueEntry.Cell.EARLY_DROPPED


def test_another_runs_counts_are_its_own(room: Room) -> None:
    before = counts_of(room.run)
    other = make_room("Other")
    other.fill(2)
    assert counts_of(room.run) == before
    assert counts_of(other.run).total == 2
    assert Run.objects.count() == 2
    assert Sample.objects.count() == 9


def test_words_are_known_once_a_pair_is_in_the_queue(room: Room) -> None:
    """Not before: an import need not wait for them. And once, in however many runs."""
    late = Sample.objects.create(
        dataset=room.run.dataset, position=90, line=91, instruction="Unheard xylophone", response=""
    )
    waiting = RunSample.objects.create(run=room.run, sample=late, position=90)
    assert not pairs_with_words("xylophone", [waiting.pk])
    record_decision(run_sample=waiting, user=room.owner, action="drop")
    assert pairs_with_words("xylophone", [waiting.pk, room.pairs[0].pk]) == {waiting.pk}
    other = make_room("Other")
    again = RunSample.objects.create(run=other.run, sample=late, position=0)
    record_decision(run_sample=again, user=other.owner, action="drop")
    for run, row in ((room.run, waiting), (other.run, again)):
        assert RunSample.objects.filter(ids_with_words(run, "xylophone")).get() == row


def test_words_that_were_missed_come_with_the_triggers(room: Room) -> None:
    sample = room.pairs[3].sample
    with without_triggers():
        late = Sample.objects.create(
            dataset=room.run.dataset, position=90, line=91, instruction="Late tuba", response=""
        )
        row = RunSample.objects.create(
            run=room.run, sample=late, position=90, state="failed", error_reason="refusal"
        )
    assert RunSample.objects.filter(ids_with_words(room.run, "tuba")).get() == row
    assert room.pairs[3].pk in pairs_with_words(sample.instruction.split()[0], [room.pairs[3].pk])
