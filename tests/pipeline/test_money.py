"""A budget that is never passed, and questions that are not paid for twice."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from refinement.method.specs import TeacherSpec
from refinement.models import Run, RunSample, TeacherCall, TrialCall
from refinement.pipeline.budget_gate import most_of
from refinement.pipeline.teaching import teach
from refinement.pipeline.trials import try_teacher
from refinement.selectors.review import pair_view
from refinement.selectors.runs import run_progress
from refinement.services import budget, runs
from refinement.services.budget import Need, Room
from refinement.services.errors import ServiceError
from refinement.services.trials import start_trial
from tests.fake_teacher import FakeTeacher, Settings
from tests.pipeline.world import questions, standings

if TYPE_CHECKING:
    from tests.pipeline.world import World


def teach_now(run: Run) -> Run:
    teach(run.pk, stopping=threading.Event())
    return Run.objects.get(pk=run.pk)


def used(run: Run) -> int:
    return run.prompt_tokens + run.completion_tokens


def short_replies(world: World) -> None:
    """So that a question needs little more at most than it will use."""
    world.endpoint.max_tokens = 300
    world.endpoint.save()


class TestBudget:
    def test_a_run_stops_before_its_budget_and_goes_on_when_it_is_raised(
        self, taught_world: World
    ) -> None:
        short_replies(taught_world)
        run = teach_now(taught_world.run(12, budget_tokens=4000))
        assert run.status == Run.Status.RUNNING, "the student still has what was paid for"
        assert run.notice.startswith(budget.SPENT_NOTICE)
        assert 0 < used(run) <= 4000
        assert not RunSample.objects.filter(run=run, state="leased").exists()
        done = RunSample.objects.filter(run=run, stage="select_instruction").count()
        assert 0 < done < 12

        RunSample.objects.filter(run=run, stage="select_instruction").update(
            stage="done", state="done"
        )
        run = teach_now(run)
        assert run.status == Run.Status.PAUSED
        assert "Raise the budget to go on" in run.notice

        runs.set_budget(run=run, tokens=10**6, cost=None)
        assert (run.status, run.notice) == (Run.Status.RUNNING, "")
        run = teach_now(run)
        assert not RunSample.objects.filter(run=run, stage="reflect_instruction").exists()
        assert used(run) > 4000

    def test_a_budget_in_money(self, taught_world: World) -> None:
        short_replies(taught_world)
        run = teach_now(taught_world.run(12, budget_cost=Decimal("0.009")))
        assert 0 < run.cost <= Decimal("0.009")
        assert run.notice.startswith(budget.SPENT_NOTICE)

    def test_a_budget_too_small_for_one_question_asks_none(
        self, taught_world: World, teacher: FakeTeacher
    ) -> None:
        run = teach_now(taught_world.run(3, budget_tokens=100))
        assert teacher.state.requests == []
        assert run.status == Run.Status.PAUSED
        assert standings(run) == [("reflect_instruction", "ready")] * 3

    def test_what_is_under_way_is_held_back(self, world: World) -> None:
        run = world.run(2, budget_tokens=100)
        first, second = RunSample.objects.filter(run=run)
        assert reserve(run, first, 60) is Room.FITS, "though nobody holds the row yet"
        lease(first, second)
        assert reserve(run, second, 60) is Room.LATER
        assert reserve(run, second, 40) is Room.FITS
        assert reserve(run, first, 61) is Room.LATER
        RunSample.objects.filter(pk=second.pk).update(reserved_tokens=0)
        assert reserve(run, first, 101) is Room.SPENT

    def test_a_run_without_a_budget_has_room_for_anything(self, world: World) -> None:
        run = world.run(1)
        assert reserve(run, RunSample.objects.get(run=run), 10**9) is Room.FITS

    def test_a_bound_that_no_tokenizer_passes(self) -> None:
        spec = TeacherSpec("http://t", "m", max_tokens=100, price_prompt=1.0, price_completion=2.0)
        need = most_of(spec, [{"role": "user", "content": "häh"}])
        assert need == Need(4 + 16 + 100, Decimal("0.00022"))

    @pytest.mark.parametrize(
        ("tokens", "cost"), [(0, None), (-1, None), (None, Decimal(0)), (None, Decimal("NaN"))]
    )
    def test_a_budget_that_is_none(
        self, world: World, tokens: int | None, cost: Decimal | None
    ) -> None:
        with pytest.raises(ServiceError, match="leave it empty"):
            runs.set_budget(run=world.run(1), tokens=tokens, cost=cost)

    def test_a_run_that_is_over_needs_no_budget(self, world: World) -> None:
        run = world.run(1)
        runs.cancel_run(run=run)
        with pytest.raises(ServiceError, match="cancelled"):
            runs.set_budget(run=run, tokens=5, cost=None)


def reserve(run: Run, row: RunSample, tokens: int) -> Room:
    return budget.reserve(run_id=run.pk, row_id=row.pk, need=Need(tokens, Decimal(0)))


def lease(*rows: RunSample) -> None:
    from datetime import timedelta

    from django.utils import timezone

    RunSample.objects.filter(pk__in=[row.pk for row in rows]).update(
        state="leased",
        lease_token="x",
        lease_expires_at=timezone.now() + timedelta(minutes=1),
    )


class TestStorage:
    def test_a_second_run_over_the_same_pairs_costs_nothing(
        self, taught_world: World, teacher: FakeTeacher
    ) -> None:
        first = teach_now(taught_world.run(3))
        asked = len(teacher.state.requests)
        second = teach_now(taught_world.run(3))
        assert len(teacher.state.requests) == asked == first.teacher_calls
        assert (second.teacher_calls, second.cost, used(second)) == (0, 0, 0)
        assert second.stored_answers == asked
        assert standings(second) == [("select_instruction", "ready")] * 3
        copies = TeacherCall.objects.filter(run_sample__run=second)
        assert all(call.from_storage and call.cost == 0 and call.text for call in copies)
        shown = [pair_view(run.run_samples.get(position=0)) for run in (first, second)]
        assert [view.tokens > 0 for view in shown] == [True, False]
        assert run_progress(second).tokens_per_second == 0

    def test_a_run_may_ask_anew(self, taught_world: World, teacher: FakeTeacher) -> None:
        teach_now(taught_world.run(2))
        asked = len(teacher.state.requests)
        run = teach_now(taught_world.run(2, reuse=False))
        assert len(teacher.state.requests) == 2 * asked
        assert run.stored_answers == 0

    def test_the_same_pair_twice_in_a_run_is_asked_once(
        self, taught_world: World, teacher: FakeTeacher
    ) -> None:
        teacher.state.settings = Settings(latency=0.05)
        taught_world.dataset(["x"])
        from tests.pipeline import world as module

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "TOPICS", ("tides",))
            run = teach_now(taught_world.run(["What are tides?"] * 4))
        assert len(teacher.state.requests) == 3 == run.teacher_calls
        assert run.stored_answers == 9

    def test_another_teacher_is_asked_anew(self, taught_world: World, teacher: FakeTeacher) -> None:
        teach_now(taught_world.run(1))
        asked = len(teacher.state.requests)
        taught_world.endpoint.pk, taught_world.endpoint.name = None, "Another"
        taught_world.endpoint.save()
        teach_now(taught_world.run(1))
        assert len(teacher.state.requests) == 2 * asked

    def test_what_a_trial_asked_is_not_paid_for_again(
        self, taught_world: World, teacher: FakeTeacher
    ) -> None:
        dataset = taught_world.dataset(questions(2))
        trial = start_trial(
            project=taught_world.project,
            dataset=dataset,
            teacher=taught_world.endpoint,
            positions=[0, 1],
            user=None,
        )
        try_teacher(trial.pk)
        asked = len(teacher.state.requests)
        assert TrialCall.objects.filter(trial=trial).count() == asked == 10
        run = teach_now(taught_world.run(2))
        assert len(teacher.state.requests) == asked
        assert run.stored_answers == 6
