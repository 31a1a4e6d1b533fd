from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from refinement.models import Candidate, Endpoint, Run, RunSample, TeacherCall
from refinement.pipeline import claims, looking, teacher_health, teaching
from refinement.pipeline.teaching import teach
from refinement.services import runs
from tests.fake_teacher import FakeTeacher, Settings
from tests.pipeline.world import questions, standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.pipeline.world import World

STEPS = ["criticise_instruction", "rewrite_instruction", "answer_instruction"]


def teach_now(run: Run, **options: Any) -> None:
    teach(run.pk, stopping=threading.Event(), **options)


def teach_in_thread(run: Run, stopping: threading.Event | None = None) -> threading.Thread:
    def work() -> None:
        try:
            teach(run.pk, stopping=stopping or threading.Event())
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def reload(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


class Gate:
    """Holds a teacher's answers back until it is opened, and says when questions have arrived."""

    def __init__(self, teacher: FakeTeacher, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = threading.Event()
        self.arrived = threading.Semaphore(0)
        handler = teacher.RequestHandlerClass
        original: Callable[..., None] = handler._complete

        def wait(self_: Any, request: dict[str, Any], *, crowded: bool) -> None:
            self.arrived.release()
            self.opened.wait()
            original(self_, request, crowded=crowded)

        monkeypatch.setattr(handler, "_complete", wait)


@pytest.fixture
def gate(teacher: FakeTeacher, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(teacher, monkeypatch)
    yield gate
    gate.opened.set()


def test_every_sample_gets_a_candidate_and_moves_to_the_student(
    taught_world: World, teacher: FakeTeacher, wakes: list[tuple[str, int]]
) -> None:
    run = taught_world.run(6)
    wakes.clear()
    teach_now(run)
    assert standings(run) == [("select_instruction", "ready")] * 6
    for row in RunSample.objects.filter(run=run):
        [candidate] = Candidate.objects.filter(run_sample=row)
        assert candidate.kind == "instruction"
        assert candidate.instruction != row.sample.instruction
        assert candidate.criticism
        assert candidate.teacher_call.step == "answer_instruction"
    assert TeacherCall.objects.count() == len(teacher.state.requests) == 6 * len(STEPS)
    assert ("refinement.score", run.pk) in wakes
    assert len(wakes) < 6, "one message tells of many samples"


def test_a_student_that_is_at_the_run_gets_no_message(
    taught_world: World, wakes: list[tuple[str, int]]
) -> None:
    run = taught_world.run(2)
    RunSample.objects.filter(run=run, position=0).update(stage="select_instruction")
    assert claims.claim_chunk(run.pk, claims.STUDENT_STAGES, 1, 60)
    wakes.clear()
    teach_now(run)
    assert wakes == []


def test_the_run_counts_what_the_teacher_cost(taught_world: World) -> None:
    run = taught_world.run(2)
    teach_now(run)
    calls = TeacherCall.objects.all()
    run = reload(run)
    assert run.teacher_calls == len(calls)
    assert run.prompt_tokens == sum(call.prompt_tokens for call in calls) > 0
    assert run.completion_tokens == sum(call.completion_tokens for call in calls) > 0
    assert run.cost == sum(call.cost for call in calls) > 0


def test_no_more_questions_at_once_than_the_endpoint_takes(
    taught_world: World, teacher: FakeTeacher
) -> None:
    teacher.state.settings = Settings(latency=0.2)
    teach_now(taught_world.run(6))
    assert teacher.state.most_in_flight == taught_world.endpoint.max_concurrency


def test_a_young_run_begins_with_few_pairs_until_one_can_be_reviewed(taught_world: World) -> None:
    Endpoint.objects.update(max_concurrency=8)
    taught_world.endpoint.refresh_from_db()
    run = taught_world.run(10)
    assert looking.look_at(run).share == 1
    RunSample.objects.filter(run=run, position=0).update(stage="reflect_response")
    assert looking.look_at(run).share == 2, "it waits for none that began after it"
    RunSample.objects.filter(run=run, position=0).update(stage="done", state="done")
    assert looking.look_at(run).share == 8
    RunSample.objects.filter(run=run).update(stage="reflect_instruction", state="ready")
    run.created_at -= timedelta(seconds=looking.EARLY_SECONDS + 1)
    assert looking.look_at(run).share == 8


def test_runs_on_one_endpoint_share_it(taught_world: World) -> None:
    first, second = taught_world.run(3), taught_world.run(3)
    assert looking.look_at(first).share == 2
    RunSample.objects.filter(run=second).update(stage="select_instruction")
    assert looking.look_at(first).share == 4, "the other waits for the student"


def test_a_useless_reply_fails_its_sample_alone(taught_world: World) -> None:
    run = taught_world.run([*questions(2), "What is this? [[empty]]"])
    teach_now(run)
    assert standings(run) == [
        ("select_instruction", "ready"),
        ("select_instruction", "ready"),
        ("reflect_instruction", "failed"),
    ]
    row = RunSample.objects.get(run=run, state="failed")
    assert row.error_reason == "empty"
    assert row.error.endswith(".")


def test_a_retried_sample_is_asked_anew_and_keeps_what_was_of_use(
    taught_world: World, teacher: FakeTeacher
) -> None:
    run = taught_world.run(["What is this? [[empty 2]]"])
    teach_now(run)
    assert standings(run) == [("reflect_instruction", "failed")]
    useless = list(TeacherCall.objects.filter(discarded=True))
    assert [call.step for call in useless] == [STEPS[0]] * 2
    assert runs.retry_failed(run=run) == 1
    teach_now(run)
    assert standings(run) == [("select_instruction", "ready")]
    assert TeacherCall.objects.filter(discarded=False).count() == len(STEPS)
    assert TeacherCall.objects.count() == len(teacher.state.requests)


def test_a_refused_question_fails_its_sample_and_the_run_goes_on(taught_world: World) -> None:
    run = taught_world.run(["Too long, perhaps? [[400]]", *questions(3)])
    teach_now(run)
    assert [state for _, state in standings(run)] == ["failed", "ready", "ready", "ready"]
    row = RunSample.objects.get(run=run, state="failed")
    assert row.error_reason == "refused_request"
    assert "400" in row.error
    assert reload(run).status == Run.Status.RUNNING


def test_many_refusals_in_a_row_pause_the_run(taught_world: World) -> None:
    run = taught_world.run([f"{text} [[400]]" for text in questions(30)])
    teach_now(run)
    run = reload(run)
    assert run.status == Run.Status.PAUSED
    assert run.notice.startswith("Paused: the teacher refused several pairs in a row.")
    failed = RunSample.objects.filter(run=run, state="failed").count()
    assert teacher_health.MOST_REFUSALS <= failed <= teacher_health.MOST_REFUSALS + 4
    assert not RunSample.objects.filter(run=run, state="leased").exists()


def test_a_wrong_key_pauses_the_run_and_burns_no_sample(
    taught_world: World, teacher: FakeTeacher
) -> None:
    teacher.state.settings = Settings(key="the right one")
    run = taught_world.run(10)
    teach_now(run)
    run = reload(run)
    assert run.status == Run.Status.PAUSED
    assert run.notice.startswith("Paused, because every question would fail.")
    assert standings(run) == [("reflect_instruction", "ready")] * 10
    teacher.state.settings = Settings()
    runs.resume_run(run=run)
    assert reload(run).notice == ""
    teach_now(run)
    assert standings(run) == [("select_instruction", "ready")] * 10


def test_a_teacher_that_is_down_costs_attempts_of_few_samples(
    taught_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Endpoint.objects.update(base_url="http://127.0.0.1:9/v1")
    monkeypatch.setattr(teacher_health, "PATIENCE", 2)
    taught_world.endpoint.refresh_from_db()
    run = taught_world.run(50)
    Run.objects.filter(pk=run.pk).update(
        config=run.config | {"teacher": run.config["teacher"] | {"tries": 1}}
    )
    stopping = threading.Event()
    thread = teach_in_thread(run, stopping)
    while not reload(run).notice:
        assert thread.is_alive()
    stopping.set()
    thread.join()
    run = reload(run)
    assert run.status == Run.Status.RUNNING
    assert run.notice.startswith("The teacher does not answer, and is asked again now and then.")
    tried = RunSample.objects.filter(run=run, attempts=1)
    assert 2 <= tried.count() <= 4
    for row in tried:
        assert (row.state, row.error_reason) == ("ready", "teacher_unreachable")
        assert row.not_before is not None
    assert not RunSample.objects.filter(run=run, attempts__gt=1).exists()


def test_the_notice_goes_when_the_teacher_answers(taught_world: World) -> None:
    run = taught_world.run(4)
    runs.set_notice(run_id=run.pk, notice="The teacher does not answer.")
    teach_now(run)
    assert reload(run).notice == ""


def test_a_pause_asks_nothing_more_and_saves_what_is_under_way(
    taught_world: World, teacher: FakeTeacher, gate: Gate
) -> None:
    run = taught_world.run(10)
    thread = teach_in_thread(run)
    for _ in range(4):
        gate.arrived.acquire()
    runs.pause_run(run=run)
    taken_note = threading.Event()
    original = looking.look_at

    def look(run: Run) -> looking.Look:
        found = original(run)
        if not found.running:
            taken_note.set()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "look_at", look)
        taken_note.wait()
    gate.opened.set()
    thread.join()
    assert len(teacher.state.requests) == 4, "the answers under way, and no question after them"
    assert TeacherCall.objects.count() == 4
    assert standings(run) == [("reflect_instruction", "ready")] * 10
    runs.resume_run(run=run)
    teach_now(run)
    assert standings(run) == [("select_instruction", "ready")] * 10
    assert len(teacher.state.requests) == TeacherCall.objects.count() == 30, "nothing paid twice"


def test_a_worker_that_is_told_to_stop_gives_its_rows_back(
    taught_world: World, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "GRACE_SECONDS", 0.1)
    run = taught_world.run(10)
    stopping = threading.Event()
    thread = teach_in_thread(run, stopping)
    gate.arrived.acquire()
    assert RunSample.objects.filter(run=run, state="leased").count() == 4
    stopping.set()
    thread.join()
    gate.opened.set()
    assert standings(run) == [("reflect_instruction", "ready")] * 10
    assert not RunSample.objects.filter(attempts__gt=0).exists()


def test_a_second_message_stirs_the_loop_that_is_there(taught_world: World, gate: Gate) -> None:
    run = taught_world.run(2)
    thread = teach_in_thread(run)
    gate.arrived.acquire()
    teach_now(run)  # returns at once: somebody sits at this run
    assert thread.is_alive()
    assert RunSample.objects.filter(run=run, state="leased").count() == 2
    gate.opened.set()
    thread.join()
    assert standings(run) == [("select_instruction", "ready")] * 2


def test_when_its_slice_is_over_a_loop_finishes_what_it_has_and_sends_itself_on(
    taught_world: World, wakes: list[tuple[str, int]]
) -> None:
    run = taught_world.run(3)
    wakes.clear()
    teach_now(run, slice_seconds=0)
    assert standings(run) == [("reflect_instruction", "ready")] * 3
    assert wakes == [("refinement.teach", run.pk)]


def test_leases_are_renewed_while_the_teacher_thinks(
    taught_world: World, gate: Gate, settings: Any
) -> None:
    settings.LEASE_SECONDS = 4.0
    run = taught_world.run(1)
    thread = teach_in_thread(run)
    gate.arrived.acquire()
    row = RunSample.objects.get(run=run)
    first = row.lease_expires_at
    while row.lease_expires_at == first:
        assert thread.is_alive()
        row.refresh_from_db()
    assert (row.state, row.attempts) == ("leased", 0)
    gate.opened.set()
    thread.join()
    assert standings(run) == [("select_instruction", "ready")]
    assert Candidate.objects.get().run_sample == row


def test_a_loop_that_lost_its_row_saves_the_reply_it_has_and_asks_no_more(
    taught_world: World, gate: Gate
) -> None:
    run = taught_world.run(1)
    thread = teach_in_thread(run)
    gate.arrived.acquire()
    RunSample.objects.update(lease_token="somebody else's")
    gate.opened.set()
    thread.join()
    assert TeacherCall.objects.get().step == STEPS[0]
    assert not Candidate.objects.exists()
    row = RunSample.objects.get(run=run)
    assert (row.state, row.lease_token) == ("leased", "somebody else's")


def test_a_bug_in_one_sample_stops_no_other(
    taught_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = teaching.reflect

    async def reflect(row: RunSample, ask: Any, bench: Any) -> bool:
        if row.position == 1:
            raise ZeroDivisionError("a bug")
        return await original(row, ask, bench)

    monkeypatch.setattr(teaching, "reflect", reflect)
    run = taught_world.run(3)
    teach_now(run)
    assert [stage for stage, _ in standings(run)] == [
        "select_instruction",
        "reflect_instruction",
        "select_instruction",
    ]
    row = RunSample.objects.get(run=run, position=1)
    assert (row.state, row.attempts, row.error_reason) == ("ready", 1, "internal")
    assert "a bug" in row.error


@pytest.mark.parametrize("protocol", ["tagged", "json_schema"])
def test_the_other_protocols_need_one_reply(
    taught_world: World, teacher: FakeTeacher, protocol: str
) -> None:
    run = taught_world.run(2, protocol=protocol)
    teach_now(run)
    assert standings(run) == [("select_instruction", "ready")] * 2
    assert len(teacher.state.requests) == 2
