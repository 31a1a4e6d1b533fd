from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from refinement.method.prompt_set import DEFAULT
from refinement.models import Trial, TrialCall
from refinement.pipeline.trials import try_teacher
from refinement.selectors.estimates import forecast
from refinement.services.errors import ServiceError
from refinement.services.models_registry import teacher_spec
from refinement.services.trials import positions_to_measure, start_trial
from tests.fake_teacher import FakeTeacher, Settings
from tests.pipeline.world import questions

if TYPE_CHECKING:
    from tests.pipeline.world import World


def trial_of(world: World, texts: list[str], positions: list[int], **options: Any) -> Trial:
    trial = start_trial(
        project=world.project,
        dataset=world.dataset(texts),
        teacher=world.endpoint,
        positions=positions,
        user=world.user,
        **options,
    )
    try_teacher(trial.pk)
    trial.refresh_from_db()
    return trial


@pytest.mark.parametrize("protocol", ["staged", "tagged", "json_schema"])
def test_both_reflections_of_each_sample_are_read(taught_world: World, protocol: str) -> None:
    trial = trial_of(taught_world, questions(3), [0, 2], protocol=protocol)
    assert trial.status == Trial.Status.DONE
    assert [outcome["position"] for outcome in trial.outcomes] == [0, 2]
    for outcome in trial.outcomes:
        assert outcome["instruction"]["new_instruction"]
        assert outcome["instruction"]["criticism"]
        assert outcome["response"]["new_response"]
    assert all(call.cost > 0 for call in TrialCall.objects.filter(trial=trial))


def test_the_prompts_of_the_trial_are_asked(taught_world: World, teacher: FakeTeacher) -> None:
    trial_of(taught_world, questions(1), [0], prompts=replace(DEFAULT, response_criteria="its WIT"))
    asked = teacher.state.requests[0]["request"]["messages"]
    assert "its WIT" in asked[0]["content"]


def test_a_reply_of_no_use_is_an_outcome_too(taught_world: World) -> None:
    trial = trial_of(taught_world, ["What is this? [[empty]]"], [0])
    assert trial.status == Trial.Status.DONE
    assert "empty reply" in trial.outcomes[0]["instruction"]["error"]


def test_a_teacher_at_fault_is_said_in_one_sentence(
    taught_world: World, teacher: FakeTeacher
) -> None:
    teacher.state.settings = Settings(key="the right one")
    trial = trial_of(taught_world, questions(1), [0])
    assert trial.status == Trial.Status.FAILED
    assert "wants a key" in trial.error


def test_the_same_trial_again_is_answered_from_storage(
    taught_world: World, teacher: FakeTeacher
) -> None:
    trial_of(taught_world, questions(1), [0])
    asked = len(teacher.state.requests)
    again = trial_of(taught_world, questions(1), [0])
    assert again.status == Trial.Status.DONE
    assert len(teacher.state.requests) == asked
    assert all(call.from_storage and not call.cost for call in again.calls.all())


def test_a_message_that_comes_twice_changes_nothing(
    taught_world: World, teacher: FakeTeacher
) -> None:
    trial = trial_of(taught_world, questions(1), [0])
    asked = len(teacher.state.requests)
    try_teacher(trial.pk)
    assert len(teacher.state.requests) == asked


@pytest.mark.parametrize(
    ("positions", "words"), [([], "from 1 to 16"), ([0, 7], "no pair 8"), ([-1], "no pair 0")]
)
def test_pairs_that_are_not_there(world: World, positions: list[int], words: str) -> None:
    with pytest.raises(ServiceError, match=words):
        trial_of(world, questions(2), positions)


def test_pairs_to_measure_are_spread_over_the_dataset(world: World) -> None:
    assert positions_to_measure(world.dataset(questions(100))) == [10, 30, 50, 70, 90]
    assert positions_to_measure(world.dataset(questions(100)), limit=10) == [1, 3, 5, 7, 9]
    assert positions_to_measure(world.dataset(questions(2))) == [0, 1]


def test_a_forecast_comes_from_what_was_measured(taught_world: World) -> None:
    trial = trial_of(taught_world, questions(6), [0, 2, 4])
    spec = teacher_spec(taught_world.endpoint)
    given = {"dataset": trial.dataset, "teacher": taught_world.endpoint, "spec": spec}
    found = forecast(prompt_version=DEFAULT.version, samples=600, **given)
    assert found is not None
    calls = list(trial.calls.all())
    tokens = sum(call.prompt_tokens + call.completion_tokens for call in calls)
    assert found.tokens.expected == pytest.approx(tokens * 200)
    assert found.questions.expected == pytest.approx(len(calls) * 200)
    assert found.tokens.measured == 3
    assert found.cost is not None
    assert found.cost.expected == pytest.approx(float(sum(call.cost for call in calls)) * 200)
    assert found.cost.low is not None
    assert found.cost.low <= found.cost.expected <= (found.cost.high or 0)
    assert forecast(prompt_version="another", samples=600, **given) is None
