from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from refinement.method.specs import PolicySpec, StudentSpec, TeacherSpec
from refinement.models import Dataset, Project, Run, RunSample, Sample
from refinement.services import runs
from refinement.services.errors import ServiceError
from refinement.services.starting import start_run
from tests.pipeline.world import World, make_world, standings

if TYPE_CHECKING:
    from pathlib import Path

Wakes = list[tuple[str, int]]


@pytest.fixture
def world(db: None, student_path: Path, wakes: Wakes) -> World:
    return make_world(student_path=student_path)


def start(world: World, dataset: Dataset, **changes: object) -> Run:
    options = {
        "project": world.project,
        "dataset": dataset,
        "teacher": world.endpoint,
        "student": world.student,
        "policy": PolicySpec(),
        "user": world.user,
    }
    return start_run(**(options | changes))


# -- Starting -------------------------------------------------------------------------------------
def test_a_run_has_every_sample_in_order(
    world: World, wakes: Wakes, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = world.run(5)
    assert wakes == [("refinement.teach", run.pk), ("refinement.score", run.pk)]
    rows = RunSample.objects.filter(run=run).order_by("position")
    assert [row.sample for row in rows] == list(run.dataset.samples.all())
    assert standings(run) == [("reflect_instruction", "ready")] * 5
    for row in rows:
        row.full_clean(exclude=["lease_token", "error_reason", "error"])
        assert (row.attempts, row.lease_token, row.error, row.not_before) == (0, "", "", None)
        assert (timezone.now() - row.updated_at).total_seconds() < 60


def test_all_that_shapes_the_result_is_frozen(world: World) -> None:
    run = world.run(1, protocol="tagged")
    world.endpoint.model = "another"
    world.endpoint.save()
    teacher = TeacherSpec.from_dict(run.config["teacher"])
    assert (teacher.model, teacher.protocol) == ("fake-teacher", "tagged")
    assert StudentSpec.from_dict(run.config["student"]).path == world.student.path
    assert PolicySpec.from_dict(run.config["policy"]) == PolicySpec()
    assert run.config["prompt_version"]
    assert len(run.student_fingerprint) == 64
    assert run.name == "Questions by Fake teacher"


def test_a_run_over_the_first_samples(world: World) -> None:
    run = world.run(5, limit=2)
    assert list(RunSample.objects.filter(run=run).values_list("position", flat=True)) == [0, 1]


def test_many_samples_are_started_with_few_queries(
    world: World, django_assert_max_num_queries: Any
) -> None:
    dataset = world.dataset(["x"] * 3000)
    with django_assert_max_num_queries(8):
        run = start(world, dataset)
    assert RunSample.objects.filter(run=run).count() == 3000


@pytest.mark.parametrize(
    ("status", "words"),
    [("pending", "still being imported"), ("importing", "still being"), ("failed", "failed")],
)
def test_a_dataset_that_is_not_ready_is_refused(world: World, status: str, words: str) -> None:
    dataset = world.dataset(["x"])
    Dataset.objects.filter(pk=dataset.pk).update(status=status)
    dataset.refresh_from_db()
    with pytest.raises(ServiceError, match=words):
        start(world, dataset)


def test_a_dataset_without_samples_is_refused(world: World) -> None:
    with pytest.raises(ServiceError, match="has no samples"):
        start(world, world.dataset([]))


def test_a_dataset_of_another_project_is_refused(world: World) -> None:
    with pytest.raises(ServiceError, match="another project"):
        start(world, world.dataset(["x"]), project=Project.objects.create(name="Another"))


def test_a_student_that_is_not_there_is_refused_before_anything_starts(world: World) -> None:
    world.student.path = "/nowhere/at/all"
    with pytest.raises(ServiceError, match="There is no student at '/nowhere/at/all'"):
        start(world, world.dataset(["x"]))
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": PolicySpec(name="mine")}, "no policy 'mine'"),
        ({"policy": PolicySpec(max_ifd=-1)}, "max_ifd"),
        ({"protocol": "mine"}, "“mine” is no protocol"),
        ({"limit": 0}, "at least one sample"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    world: World, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ServiceError, match=words):
        start(world, world.dataset(["x"]), **changes)
    assert not Run.objects.exists()


def test_a_key_that_is_not_set_here_is_a_warning(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.endpoint.api_key_variable = "OUR_TEACHER_KEY"
    assert "OUR_TEACHER_KEY" in start(world, world.dataset(["x"])).notice
    monkeypatch.setenv("OUR_TEACHER_KEY", "secret")
    assert start(world, world.dataset(["x"])).notice == ""


# -- Steering -------------------------------------------------------------------------------------
STEPS = {
    "pause": (runs.pause_run, {"running": "paused"}),
    "resume": (runs.resume_run, {"paused": "running"}),
    "cancel": (runs.cancel_run, {"running": "cancelled", "paused": "cancelled"}),
}


@pytest.mark.parametrize("status", Run.Status.values)
@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_possible_from_the_right_states_alone(
    world: World, step: str, status: str
) -> None:
    run = world.run(1)
    Run.objects.filter(pk=run.pk).update(status=status)
    act, allowed = STEPS[step]
    if status in allowed:
        act(run=run)
        assert run.status == allowed[status]
    else:
        with pytest.raises(ServiceError, match=status):
            act(run=run)
    run.refresh_from_db()
    assert run.status == allowed.get(status, status)
    assert (run.finished_at is not None) == (step == "cancel" and status in allowed)


def test_a_resumed_run_wakes_its_workers_and_drops_its_notice(
    world: World, wakes: Wakes, django_capture_on_commit_callbacks: Any
) -> None:
    run = world.run(1)
    assert runs.halt_run(run_id=run.pk, notice="Paused: no credit.")
    wakes.clear()
    with django_capture_on_commit_callbacks(execute=True):
        runs.resume_run(run=run)
    run.refresh_from_db()
    assert (run.status, run.notice) == ("running", "")
    assert wakes == [("refinement.teach", run.pk), ("refinement.score", run.pk)]


# -- Retrying -------------------------------------------------------------------------------------
def fail(run: Run, *positions: int) -> None:
    RunSample.objects.filter(run=run, position__in=positions).update(
        state="failed", stage="reflect_response", attempts=5, error_reason="empty", error="Empty."
    )


def finish(run: Run) -> None:
    RunSample.objects.filter(run=run).exclude(state="failed").update(stage="done", state="done")
    assert runs.complete_if_finished(run_id=run.pk)


def test_failed_samples_go_on_where_they_failed_and_the_run_runs_again(world: World) -> None:
    run = world.run(4)
    fail(run, 1, 2)
    finish(run)
    assert runs.retry_failed(run=run) == 2
    run.refresh_from_db()
    assert (run.status, run.finished_at) == (Run.Status.RUNNING, None)
    retried = ("reflect_response", "ready")
    assert standings(run) == [("done", "done"), retried, retried, ("done", "done")]
    row = RunSample.objects.get(run=run, position=1)
    assert (row.attempts, row.error_reason, row.error) == (0, "", "")


def test_one_failed_sample_is_retried_alone(world: World) -> None:
    run = world.run(3)
    fail(run, 0, 1)
    row = RunSample.objects.get(run=run, position=1)
    assert runs.retry_failed(run=run, run_sample=row) == 1
    assert [state for _, state in standings(run)] == ["failed", "ready", "ready"]


def test_a_retry_leaves_a_paused_run_paused(world: World) -> None:
    run = world.run(1)
    fail(run, 0)
    runs.pause_run(run=run)
    assert runs.retry_failed(run=run) == 1
    run.refresh_from_db()
    assert run.status == Run.Status.PAUSED


def test_nothing_to_retry(world: World) -> None:
    run = world.run(1)
    with pytest.raises(ServiceError, match="no sample has failed"):
        runs.retry_failed(run=run)
    fail(run, 0)
    runs.cancel_run(run=run)
    with pytest.raises(ServiceError, match="cancelled"):
        runs.retry_failed(run=run)


# -- Completing -----------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["ready", "leased"])
def test_a_run_with_open_samples_is_not_complete(world: World, state: str) -> None:
    run = world.run(2)
    RunSample.objects.filter(run=run, position=0).update(stage="done", state="done")
    RunSample.objects.filter(run=run, position=1).update(
        state=state, lease_token="x", lease_expires_at=timezone.now()
    )
    assert not runs.complete_if_finished(run_id=run.pk)


@pytest.mark.parametrize("status", ["paused", "cancelled", "complete"])
def test_only_a_running_run_becomes_complete(world: World, status: str) -> None:
    run = world.run(1)
    RunSample.objects.filter(run=run).update(stage="done", state="done")
    Run.objects.filter(pk=run.pk).update(status=status)
    assert not runs.complete_if_finished(run_id=run.pk)
    run.refresh_from_db()
    assert run.status == status


def test_a_resumed_run_whose_samples_are_all_done_can_complete(world: World) -> None:
    run = world.run(1)
    runs.pause_run(run=run)
    RunSample.objects.filter(run=run).update(stage="done", state="done")
    runs.resume_run(run=run)
    assert runs.complete_if_finished(run_id=run.pk)
    assert Sample.objects.exists()
