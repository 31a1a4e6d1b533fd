"""Preparing a run: preview, trial, estimate; its budget; and going on in rounds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from refinement.method.prompt_set import DEFAULT
from refinement.models import Dataset, Run, RunSample, Trial
from refinement.pipeline.trials import try_teacher
from refinement.services import budget, decisions, runs
from tests.pipeline.conftest import student_path, teacher, wakes
from tests.pipeline.conftest import taught_world as world
from tests.pipeline.world import World, questions

if TYPE_CHECKING:
    from django.http import HttpResponse

    from tests.fake_teacher import FakeTeacher

__all__ = ["student_path", "teacher", "wakes", "world"]


@pytest.fixture
def owner(world: World) -> Client:
    client = Client()
    client.force_login(world.user)
    return client


def form(world: World, source: Dataset, /, **changes: Any) -> dict[str, Any]:
    return {
        "token": str(uuid4()),
        "dataset": source.pk,
        "teacher": world.endpoint.pk,
        "student": world.student.pk,
        "pair": 1,
        "policy_name": "paper",
        **changes,
    }


def post(client: Client, name: str, pk: int, data: dict[str, Any], **headers: str) -> HttpResponse:
    return client.post(reverse(name, args=[pk]), data, headers=headers)  # type: ignore[return-value]


def test_the_preview_shows_the_messages_and_asks_nobody(
    world: World, owner: Client, teacher: FakeTeacher
) -> None:
    data = form(
        world, world.dataset(questions(3)), pair=2, **{"prompt-response_criteria": "its <wit>"}
    )
    page = post(owner, "run-preview", world.project.pk, data)
    text = page.content.decode()
    assert page.status_code == 200
    assert "Question 1: what is known about bread?" in text
    assert "Judge a response by its &lt;wit&gt;." in text
    assert "Pair 2" in text
    assert "<html" in text
    part = post(owner, "run-preview", world.project.pk, data, **{"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert teacher.state.requests == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": ""}, "Choose a dataset first."),
        ({"pair": 9}, "fewer pairs"),
        ({"prompt-rewrite_response": "Better."}, "Rewrite the response: Put {response} and"),
    ],
)
@pytest.mark.parametrize("name", ["run-preview", "run-try"])
def test_what_cannot_be_asked_is_said(
    world: World, owner: Client, name: str, changes: dict[str, Any], words: str
) -> None:
    if name == "run-try" and changes.get("pair"):
        words = "has no pair 9"
    answer = post(
        owner, name, world.project.pk, form(world, world.dataset(questions(2)), **changes)
    )
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Trial.objects.exists()


def test_the_teacher_is_asked_once_and_its_reply_is_shown(
    world: World, owner: Client, wakes: list[tuple[str, int]]
) -> None:
    data = form(world, world.dataset(questions(3)))
    answer = post(owner, "run-try", world.project.pk, data)
    trial = Trial.objects.get()
    assert answer["location"] == reverse("trial", args=[trial.pk])
    assert wakes[-1] == ("refinement.try_teacher", trial.pk)
    waiting = owner.get(answer["location"]).content.decode()
    assert "No teacher worker is alive" in waiting
    assert "data-poll" in waiting
    try_teacher(trial.pk)
    text = owner.get(reverse("trial-progress", args=[trial.pk])).content.decode()
    trial.refresh_from_db()
    assert trial.outcomes[0]["response"]["new_response"][:20] in text
    assert "data-poll" not in text


def test_an_estimate_has_a_range_and_says_what_it_is_measured_on(
    world: World, owner: Client
) -> None:
    data = form(world, world.dataset(questions(40)), measure="1", limit=20)
    answer = post(owner, "run-try", world.project.pk, data)
    trial = Trial.objects.get()
    assert trial.positions == [2, 6, 10, 14, 18]
    try_teacher(trial.pk)
    text = re.sub(r"\s+", " ", owner.get(answer["location"]).content.decode())
    assert "Tokens of 20 pairs, about" in text
    assert "Measured on 5 pairs of this dataset" in text
    assert re.search(r'0\.\d\d <span class="unit">0\.\d\d to 0\.\d\d</span>', text)


def test_a_run_starts_with_edited_prompts_and_a_budget(world: World, owner: Client) -> None:
    data = form(
        world,
        world.dataset(questions(2)),
        budget_tokens=5000,
        budget_cost="1.5",
        ask_anew="on",
        **{"prompt-answer": "You answer\r\nin verse.", "prompt-reviewer": " "},
    )
    answer = post(owner, "run-new", world.project.pk, data)
    run = Run.objects.get()
    assert answer["location"] == reverse("run", args=[run.pk])
    assert run.config["prompts"]["answer"] == "You answer\nin verse."
    assert run.config["prompts"]["reviewer"] == DEFAULT.reviewer
    assert run.config["prompt_version"] != DEFAULT.version
    assert run.config["reuse"] is False
    assert (run.budget_tokens, run.budget_cost) == (5000, Decimal("1.5"))
    text = owner.get(reverse("run", args=[run.pk])).content.decode()
    assert "0 of 5,000 tokens" in text
    assert "edited: Answer the new instruction" in text


def test_a_prompt_that_cannot_be_used_stays_on_the_form(world: World, owner: Client) -> None:
    data = form(
        world, world.dataset(questions(1)), **{"prompt-rewrite_instruction": "Better, please."}
    )
    answer = post(owner, "run-new", world.project.pk, data)
    assert answer.status_code == 422
    assert "Better, please." in answer.content.decode()
    assert "Put {criticism} where the teacher shall read it." in answer.content.decode()
    assert not Run.objects.exists()


def test_the_student_teaches_itself(world: World, owner: Client) -> None:
    data = form(world, world.dataset(questions(1)), teacher_is_student="on")
    answer = post(owner, "run-new", world.project.pk, data)
    assert answer.status_code == 422
    assert "No registered teacher serves the model" in answer.content.decode()
    world.endpoint.pk, world.endpoint.name = None, "Itself"
    world.endpoint.model = world.student.path
    world.endpoint.save()
    post(owner, "run-new", world.project.pk, data | {"token": str(uuid4())})
    run = Run.objects.get()
    assert run.teacher.name == "Itself"
    assert "its own teacher" in owner.get(reverse("run", args=[run.pk])).content.decode()


def test_a_budget_is_raised_in_the_browser_and_the_run_goes_on(world: World, owner: Client) -> None:
    run = world.run(1, budget_tokens=10)
    assert budget.stop_for_budget(run_id=run.pk)
    page = owner.get(reverse("run", args=[run.pk])).content.decode()
    assert "Raise the budget to go on" in page
    post(owner, "run-budget", run.pk, {"budget_tokens": "50000"})
    run.refresh_from_db()
    assert (run.status, run.budget_tokens, run.notice) == (Run.Status.RUNNING, 50_000, "")
    post(owner, "run-budget", run.pk, {"budget_tokens": "many"})
    run.refresh_from_db()
    assert run.budget_tokens == 50_000
    runs.cancel_run(run=run)
    answer = owner.post(reverse("run-budget", args=[run.pk]), {}, follow=True)
    assert "needs no budget any more" in answer.content.decode()


def test_another_round_begins_with_the_selection(world: World, owner: Client) -> None:
    run = world.run(3)
    answer = owner.post(reverse("run-next-round", args=[run.pk]), follow=True)
    assert "keeps no pair yet" in answer.content.decode()
    row = RunSample.objects.get(run=run, position=1)
    decisions.record_decision(run_sample=row, user=world.user, action="original")
    answer = owner.post(reverse("run-next-round", args=[run.pk]), follow=True)
    dataset = Dataset.objects.get(source_run=run)
    text = answer.content.decode()
    assert re.search(rf'<option value="{dataset.pk}" selected', text)
    assert re.search(rf'value="{world.endpoint.pk}"[^>]* checked', text)
    post(owner, "run-new", world.project.pk, form(world, dataset))
    second = Run.objects.get(dataset=dataset)
    assert "Round 2: this run" in owner.get(reverse("run", args=[second.pk])).content.decode()
    assert second.name in owner.get(reverse("run", args=[run.pk])).content.decode()
