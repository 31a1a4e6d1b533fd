"""A change of policy: every verdict anew, nothing that people decided."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from refinement.method.specs import PolicySpec
from refinement.models import PolicyChange, Run, RunSample, Verdict
from refinement.selectors.run_columns import run_table
from refinement.selectors.what_if import outcome_of, what_if
from refinement.services import deriving, policies, runs
from refinement.services.decisions import record_decision, undo_decision
from refinement.services.deriving import derive
from refinement.services.errors import ServiceError
from tests.review_room import make_room
from tests.scored_run import fill

if TYPE_CHECKING:
    from tests.review_room import Room

pytestmark = pytest.mark.django_db
STRICT = PolicySpec(max_r_ifd=0.7)


@pytest.fixture
def room() -> Room:
    return make_room()


def verdicts(run: Run) -> list[tuple[bool | None, str | None, str]]:
    rows = Verdict.objects.filter(run_sample__run=run).order_by("run_sample__position")
    return list(rows.values_list("kept", "chosen__kind", "code"))


def test_what_if_promised_is_what_use_gives(room: Room) -> None:
    run = fill(room, 120)
    for spec in (
        STRICT,
        PolicySpec(name="random", seed=3, require_response_accepted=False),
        PolicySpec(name="always_instruction", require_response_accepted=False),
        PolicySpec(name="grape", top_by="ifd", top_percent=20.0),
        PolicySpec(),
    ):
        promised = what_if(run, run_table(run), spec)
        outcome = outcome_of(run_table(run), spec)
        change = policies.use_policy(run=run, policy=spec, user=room.owner)
        assert derive(run.pk)
        kept = [row[0] for row in verdicts(run)]
        assert kept == outcome.kept.tolist()
        chosen = [row[1] or "original" for row in verdicts(run)]
        assert chosen == [("original", "instruction", "response")[v] for v in outcome.version]
        change.refresh_from_db()
        assert change.applied_at is not None
        assert change.kept_before + promised.difference == change.kept_after == promised.then.kept
        assert change.changed >= promised.flips


def test_the_run_remembers_each_policy_and_who_gave_it(room: Room) -> None:
    run = fill(room, 10)
    policies.use_policy(run=run, policy=STRICT, user=room.owner)
    policies.use_policy(run=run, policy=PolicySpec(max_ifd=0.8), user=room.owner)
    derive(run.pk)
    history = list(PolicyChange.objects.filter(run=run))
    assert [c.version for c in history] == [2, 1]
    assert all(c.applied_at and c.user == room.owner for c in history)
    assert history[1].before == PolicySpec().as_dict()
    assert run.config["policy"] == history[0].policy == PolicySpec(max_ifd=0.8).as_dict()


def test_the_same_policy_again_is_refused(room: Room) -> None:
    with pytest.raises(ServiceError, match="already"):
        policies.use_policy(run=fill(room, 2), policy=PolicySpec(), user=room.owner)


def test_a_policy_that_makes_no_sense_changes_nothing(room: Room) -> None:
    run = fill(room, 2)
    with pytest.raises(ServiceError, match="max_ifd"):
        policies.use_policy(run=run, policy=PolicySpec(max_ifd=-1), user=room.owner)
    assert not PolicyChange.objects.exists()


def test_an_accepted_verdict_stays_as_it_was_accepted(room: Room) -> None:
    run = fill(room, 60)
    table = run_table(run)
    turns = table.ids[outcome_of(table, STRICT).kept != outcome_of(table, PolicySpec()).kept]
    row = RunSample.objects.get(pk=int(turns[0]))
    before = Verdict.objects.get(run_sample=row).sentence
    record_decision(run_sample=row, user=room.reviewer, action="accept")
    promised = what_if(run, run_table(run), STRICT)
    assert (promised.flips, promised.flips_against) == (len(turns) - 1, 1)
    policies.use_policy(run=run, policy=STRICT, user=room.owner)
    derive(run.pk)
    assert Verdict.objects.get(run_sample=row).sentence == before
    kept = Verdict.objects.filter(run_sample__run=run, kept=True).count()
    assert kept == promised.then.kept

    undo_decision(run_sample=row, user=room.reviewer)
    assert policies.runs_to_derive() == [run.pk]
    derive(run.pk)
    assert Verdict.objects.get(run_sample=row).sentence != before


def test_it_goes_on_where_it_was_killed(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fill(room, 50)
    expected = outcome_of(run_table(run), STRICT).kept.tolist()
    policies.use_policy(run=run, policy=STRICT, user=room.owner)
    monkeypatch.setattr(deriving, "BATCH", 8)
    looks = iter([False, False, True])
    assert not derive(run.pk, stopping=lambda: next(looks, True))
    assert Verdict.objects.filter(policy_version=1).count() == 16
    assert policies.runs_to_derive() == [run.pk]
    assert derive(run.pk)
    assert [row[0] for row in verdicts(run)] == expected
    assert policies.runs_to_derive() == []


def test_a_cut_is_applied_before_the_run_is_complete(room: Room) -> None:
    run = fill(room, 40, spec=PolicySpec())
    run.config["policy"] = replace(PolicySpec(), top_by="ifd", top_count=3).as_dict()
    run.status, run.finished_at = Run.Status.RUNNING, None
    run.save()
    assert not runs.complete_if_finished(run_id=run.pk)
    assert not runs.complete_if_finished(run_id=run.pk)
    assert PolicyChange.objects.count() == 1
    derive(run.pk)
    assert runs.complete_if_finished(run_id=run.pk)
    assert sum(bool(row[0]) for row in verdicts(run)) == 3
    below = Verdict.objects.filter(code="below_cut").first()
    assert below is not None
    assert below.sentence.startswith("not kept: not among the 3 pairs with the highest IFD")


def test_a_pair_on_its_way_to_the_teacher_gets_the_new_choice(room: Room) -> None:
    run = fill(room, 6)
    row = RunSample.objects.filter(run=run).last()
    assert row is not None
    RunSample.objects.filter(pk=row.pk).update(stage="reflect_response", state="ready")
    spec = PolicySpec(name="always_response")
    policies.use_policy(run=run, policy=spec, user=room.owner)
    derive(run.pk)
    verdict = Verdict.objects.get(run_sample=row)
    assert (verdict.instruction_winner, verdict.instruction_code) == ("original", "never")


def test_the_table_follows_scores_and_decisions(room: Room) -> None:
    run = fill(room, 20)
    table = run_table(run)
    assert (len(table), run_table(run) is table) == (20, True)
    row = RunSample.objects.get(pk=int(table.ids[4]))
    record_decision(run_sample=row, user=room.reviewer, action="drop")
    said = run_table(run).said
    assert (said.decided.sum(), said.kept[4], said.user_id[4]) == (1, False, room.reviewer.pk)
    undo_decision(run_sample=row, user=room.reviewer)
    assert run_table(run).said.decided.sum() == 0
    first = [row.ifd for row in row.scores.filter(candidate=None)]
    assert np.allclose(run_table(run).columns.read(0)("ifd")[4], first, equal_nan=True)
