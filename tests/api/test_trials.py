"""Before a run, through programs: prompts, a look at the questions, a trial, an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.models import Dataset, Run
from refinement.pipeline.trials import try_teacher
from tests.api.conftest import Caller, caller
from tests.pipeline.conftest import student_path, teacher, wakes
from tests.pipeline.conftest import taught_world as world
from tests.pipeline.world import World, questions

if TYPE_CHECKING:
    from tests.fake_teacher import FakeTeacher

__all__ = ["student_path", "teacher", "wakes", "world"]


@pytest.fixture
def owner(world: World) -> Caller:
    return caller(world.user)


def test_the_questions_are_shown_and_nobody_is_asked(
    world: World, owner: Caller, teacher: FakeTeacher
) -> None:
    place = f"/projects/{world.project.pk}/trials/preview"
    dataset = world.dataset(questions(3))
    asked = {"dataset": dataset.pk, "teacher": world.endpoint.pk, "pair": 2}
    plain = owner("post", place, asked).json()
    known = {prompt["name"]: prompt for prompt in owner("get", "/prompts").json()["items"]}
    words = {"response_criteria": "its wit", "reviewer": "You are strict.", "answer": "Be witty."}
    assert set(words) <= set(known)
    edited = owner("post", place, {**asked, "prompts": words}).json()
    assert edited["version"] != plain["version"]
    texts = str(edited["questions"])
    assert "its wit" in texts
    assert "Question 1:" in texts
    assert teacher.state.requests == []
    lost = {**asked, "prompts": {"rewrite_response": "Better!"}}
    assert "{criticism}" in owner("post", place, lost).json()["detail"]
    assert owner("post", place, {**asked, "pair": 9}).status_code == 422
    assert owner("post", place, {**asked, "prompts": {"anwser": "x"}}).status_code == 422


def test_a_few_pairs_measure_a_run(world: World, owner: Caller) -> None:
    dataset = world.dataset(questions(20))
    Dataset.objects.filter(pk=dataset.pk).update(sample_count=20)
    body = {"dataset": dataset.pk, "teacher": world.endpoint.pk, "measure": True}
    made = owner("post", f"/projects/{world.project.pk}/trials", body)
    assert (made.status_code, len(made.json()["positions"])) == (201, 5)
    place = f"/trials/{made.json()['id']}"
    assert owner("get", place).json()["forecast"] is None
    try_teacher(trial_id=made.json()["id"])
    found = owner("get", place + "?limit=10").json()
    assert (found["status"], found["forecast"]["samples"]) == ("done", 10)
    assert found["forecast"]["tokens"]["measured"] == 5
    assert found["tokens"] == sum(
        call["prompt_tokens"] + call["completion_tokens"] for call in found["calls"]
    )
    whole = owner("get", place).json()["forecast"]["tokens"]["expected"]
    assert whole == pytest.approx(2 * found["forecast"]["tokens"]["expected"])


def test_a_run_has_its_prompts_its_budget_and_a_further_round(world: World, owner: Caller) -> None:
    dataset = world.dataset(questions(2))
    body = {
        "dataset": dataset.pk,
        "teacher": world.endpoint.pk,
        "student": world.student.pk,
        "prompts": {"answer": "Be witty."},
        "reuse": False,
        "policy": {"max_ifd": None},
    }
    made = owner("post", f"/projects/{world.project.pk}/runs", body)
    assert made.status_code == 201, made.content
    run = Run.objects.get(pk=made.json()["id"])
    assert (run.config["prompts"]["answer"], run.config["reuse"]) == ("Be witty.", False)
    place = f"/runs/{run.pk}"
    owner("post", place + "/budget", {"tokens": 5000, "cost": "0.5"})
    run.refresh_from_db()
    assert (run.budget_tokens, float(run.budget_cost or 0)) == (5000, 0.5)
    early = owner("post", place + "/next-round")
    assert (early.status_code, "keeps no pair yet" in early.json()["detail"]) == (422, True)
    pair = run.run_samples.first()
    assert pair is not None
    owner("post", f"{place}/pairs/{pair.pk}/decisions", {"action": "original", "seen": 0})
    further = owner("post", place + "/next-round")
    assert (further.status_code, further.json()["sample_count"]) == (201, 1)
