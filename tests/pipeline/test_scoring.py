from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError

from refinement.method.errors import StudentError
from refinement.method.pairs import Pair
from refinement.method.specs import PolicySpec, StudentSpec
from refinement.models import Candidate, Run, RunSample, Score, Verdict
from refinement.pipeline import claims, scoring, selecting
from refinement.pipeline.claims import STUDENT_STAGES
from refinement.pipeline.engines import StudentSeat
from refinement.pipeline.scoring import score
from refinement.services import runs
from tests.pipeline.world import standings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.world import World

REWRITE = Pair(
    instruction="Explain how bread rises, and what the yeast does in it.",
    response="Yeast eats sugar and breathes out carbon dioxide, which the dough holds.",
)


def score_now(run: Run, **options: Any) -> None:
    score(run.pk, stopping=threading.Event(), **options)


def rewrite(run: Run, kind: str, pair: Pair = REWRITE, **parents: Any) -> None:
    """Give every sample a candidate and put it before the student, as the teacher's stage does."""
    for row in RunSample.objects.filter(run=run):
        Candidate.objects.create(
            run_sample=row,
            kind=kind,
            parent=parents.get("parent"),
            instruction=pair.instruction,
            input=pair.input,
            response=pair.response,
        )
    RunSample.objects.filter(run=run).update(stage=f"select_{kind}", state="ready")


def reload(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


@pytest.fixture
def run(world: World) -> Run:
    """Three samples with an instruction candidate each."""
    run = world.run(3)
    rewrite(run, "instruction")
    return run


@pytest.fixture
def second_run(run: Run) -> Run:
    """The same after the first selection, with a response candidate each."""
    score_now(run)
    for row in RunSample.objects.filter(run=run).select_related("sample"):
        took = Verdict.objects.get(run_sample=row).instruction_winner == "candidate"
        parent = Candidate.objects.get(run_sample=row) if took else None
        base = parent.as_pair() if parent else row.sample.as_pair()
        Candidate.objects.create(
            run_sample=row,
            kind="response",
            parent=parent,
            instruction=base.instruction,
            input=base.input,
            response=f"{base.instruction} Here is a better response.",
        )
    RunSample.objects.filter(run=run).update(stage="select_response", state="ready")
    return run


def test_the_first_selection_scores_both_pairs_and_begins_a_verdict(
    run: Run, wakes: list[tuple[str, int]]
) -> None:
    wakes.clear()
    score_now(run)
    assert standings(run) == [("reflect_response", "ready")] * 3
    assert Score.objects.count() == reload(run).scored_pairs == 6
    for row in RunSample.objects.filter(run=run):
        original = Score.objects.get(run_sample=row, candidate=None)
        candidate = Score.objects.get(candidate__run_sample=row)
        assert original.status == candidate.status == "scored"
        assert original.template == "vicuna"
        assert original.student_fingerprint == run.student_fingerprint
        verdict = Verdict.objects.get(run_sample=row)
        assert verdict.instruction_before == pytest.approx(original.ifd)
        assert verdict.instruction_after == pytest.approx(candidate.ifd)
        better = candidate.ifd > original.ifd
        assert verdict.instruction_winner == ("candidate" if better else "original")
        assert (verdict.kept, verdict.chosen, verdict.response_winner) == (None, None, "")
    assert wakes == [("refinement.teach", run.pk)]


def test_a_teacher_that_is_at_the_run_gets_no_message(
    run: Run, wakes: list[tuple[str, int]]
) -> None:
    RunSample.objects.filter(run=run, position=0).update(stage="reflect_instruction")
    assert claims.claim_chunk(run.pk, claims.TEACHER_STAGES, 1, 60)
    wakes.clear()
    score_now(run)
    assert wakes == []


def test_the_second_selection_completes_the_verdict_and_the_run(
    second_run: Run, wakes: list[tuple[str, int]]
) -> None:
    wakes.clear()
    run = second_run
    score_now(run)
    assert standings(run) == [("done", "done")] * 3
    run = reload(run)
    assert (run.status, run.scored_pairs) == (Run.Status.COMPLETE, 9)
    assert run.finished_at is not None
    # Of the four pairs compared a sample, one is scored already and two halves are known.
    assert 0 < run.forward_tokens < 0.8 * run.forward_tokens_apart
    for verdict in Verdict.objects.filter(run_sample__run=run):
        candidate = Candidate.objects.get(run_sample=verdict.run_sample, kind="response")
        base = Score.objects.get(run_sample=verdict.run_sample, candidate=candidate.parent)
        scores = Score.objects.get(candidate=candidate)
        assert verdict.response_before == pytest.approx(base.r_ifd)
        assert verdict.response_after == pytest.approx(scores.r_ifd)
        won = scores.r_ifd < base.r_ifd
        assert verdict.response_winner == ("candidate" if won else "original")
        assert verdict.chosen == (candidate if won else candidate.parent)
        assert verdict.kept is not None
        assert verdict.sentence
    assert wakes == [], "the teacher has nothing to do"


def test_a_rewrite_that_changes_nothing_never_wins(world: World) -> None:
    run = world.run(["Same?"])
    rewrite(run, "instruction", RunSample.objects.get(run=run).sample.as_pair())
    score_now(run)
    verdict = Verdict.objects.get()
    assert (verdict.instruction_winner, verdict.instruction_code) == ("original", "ifd_tied")


def test_an_unscorable_candidate_never_wins(world: World) -> None:
    run = world.run(1)
    rewrite(run, "instruction", Pair(instruction="Say nothing.", response=""))
    score_now(run)
    scores = Score.objects.get(candidate__isnull=False)
    assert (scores.status, scores.reason, scores.ifd) == ("unscorable", "empty", None)
    verdict = Verdict.objects.get()
    assert (verdict.instruction_winner, verdict.instruction_code) == (
        "original",
        "candidate_unscorable",
    )
    assert standings(run) == [("reflect_response", "ready")]


@pytest.fixture
def run_without_student(world: World, tmp_path: Path) -> Run:
    """Two samples, none before the student yet; its files were deleted after the start."""
    copy = tmp_path / "student"
    shutil.copytree(world.student.path, copy)
    world.student.path = str(copy)
    run = world.run(2)
    shutil.rmtree(copy)
    return run


def test_a_student_that_is_gone_pauses_the_run(run_without_student: Run) -> None:
    run = run_without_student
    rewrite(run, "instruction")
    score_now(run)
    run = reload(run)
    assert run.status == Run.Status.PAUSED
    assert run.notice.startswith("Paused, because the student cannot be used. There is no student")
    assert standings(run) == [("select_instruction", "ready")] * 2


@pytest.fixture
def empty_seat(monkeypatch: pytest.MonkeyPatch) -> StudentSeat:
    """As in a worker that has loaded no student yet."""
    seat = StudentSeat()
    monkeypatch.setattr(scoring, "student_in_seat", seat.occupied_by)
    monkeypatch.setattr(scoring, "seat_is_free", seat.is_free)
    return seat


def test_a_student_is_loaded_while_the_teacher_writes(
    world: World, empty_seat: StudentSeat
) -> None:
    run = world.run(2)
    score_now(run)
    loaded = empty_seat.student
    assert loaded is not None
    assert standings(run) == [("reflect_instruction", "ready")] * 2
    world.student.max_length = 99
    score_now(world.run(2))
    assert empty_seat.student is loaded, "it makes room for another only where that has work"


def test_a_student_that_cannot_be_loaded_pauses_the_run_before_the_teacher_has_written(
    run_without_student: Run, empty_seat: StudentSeat
) -> None:
    score_now(run_without_student)
    assert "There is no student" in reload(run_without_student).notice


def test_a_student_that_was_trained_meanwhile_pauses_the_run(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(student_fingerprint="0" * 64)
    score_now(run)
    run = reload(run)
    assert run.status == Run.Status.PAUSED
    assert "not those that the run began with" in run.notice


def test_a_chat_template_that_the_student_lacks_pauses_the_run(run: Run) -> None:
    run.config["student"]["template"] = "chat"
    run.save()
    score_now(run)
    run = reload(run)
    assert run.status == Run.Status.PAUSED
    assert "no chat template" in run.notice
    assert standings(run) == [("select_instruction", "ready")] * 3


def test_only_the_sample_that_the_student_cannot_take_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = selecting.score_cases

    def score_cases(student: Any, cases: list[selecting.Case]) -> Any:
        if any(case.row.position == 1 for case in cases):
            raise StudentError("A sequence of 9000 tokens does not fit into the memory of cpu.")
        return original(student, cases)

    monkeypatch.setattr(selecting, "score_cases", score_cases)
    score_now(run)
    assert standings(run) == [
        ("reflect_response", "ready"),
        ("select_instruction", "failed"),
        ("reflect_response", "ready"),
    ]
    row = RunSample.objects.get(run=run, position=1)
    assert (row.error_reason, row.error[:20]) == ("student", "A sequence of 9000 t")


def test_after_a_bug_the_rows_are_free_again_and_cost_an_attempt(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score_cases(student: Any, cases: list[selecting.Case]) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(selecting, "score_cases", score_cases)
    with pytest.raises(ZeroDivisionError):
        score_now(run)
    for row in RunSample.objects.filter(run=run):
        assert (row.state, row.attempts, row.error_reason) == ("ready", 1, "internal")


def test_a_chunk_is_saved_while_the_student_reads_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.run(3 * scoring.FIRST_CHUNK)
    rewrite(run, "instruction")
    read, settle = selecting.score_cases, selecting.settle
    begun, saved = [threading.Event() for _ in range(2)], threading.Event()

    def score_cases(student: Any, cases: list[selecting.Case]) -> Any:
        begun[cases[0].row.position > 0].set()
        if cases[0].row.position == scoring.FIRST_CHUNK:  # the second chunk
            assert saved.wait(20), "the first chunk waits for the second"
        return read(student, cases)

    def settle_late(run: Run, student: Any, cases: list[selecting.Case], found: Any) -> int:
        if cases[0].row.position == 0:
            assert begun[1].wait(20), "the student waits for the saving of the first chunk"
        count = settle(run, student, cases, found)
        saved.set()
        return count

    monkeypatch.setattr(selecting, "score_cases", score_cases)
    monkeypatch.setattr(selecting, "settle", settle_late)
    score_now(run)
    assert standings(run) == [("reflect_response", "ready")] * 3 * scoring.FIRST_CHUNK


def test_what_is_read_when_a_save_fails_is_given_back_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.run(3 * scoring.FIRST_CHUNK)
    rewrite(run, "instruction")

    def settle(*_: Any) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(selecting, "settle", settle)
    with pytest.raises(ZeroDivisionError):
        score_now(run)
    tried = list(RunSample.objects.filter(run=run).values_list("state", "attempts"))
    assert tried == [("ready", 1)] * 2 * scoring.FIRST_CHUNK + [("ready", 0)] * scoring.FIRST_CHUNK


def test_no_lease_is_renewed_when_rows_cannot_even_be_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away when a chunk is saved, and still is when both that are held go back."""
    run = world.run(3 * scoring.FIRST_CHUNK)
    rewrite(run, "instruction")

    def away(*_: Any, **__: Any) -> int:
        raise OperationalError("the database is away")

    monkeypatch.setattr(selecting, "settle", away)
    monkeypatch.setattr(claims, "postpone", away)
    with pytest.raises(OperationalError):
        score_now(run)
    assert [thread.name for thread in threading.enumerate() if thread.name == "leases"] == []
    leased = RunSample.objects.filter(run=run, state="leased")
    assert leased.count() == 2 * scoring.FIRST_CHUNK, "they are free when their leases run out"


def test_a_chunk_that_was_taken_over_is_not_saved(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker freezes between scoring and saving, past its lease, and another does its work."""
    original = claims.lock_ours
    thawed: list[bool] = []

    def lock(rows: Any) -> set[int]:
        if not thawed:
            thawed.append(True)
            RunSample.objects.filter(run=run).update(state="ready", lease_token="")
            score_now_again(run)
        return original(rows)

    def score_now_again(run: Run) -> None:
        assert select(run, claims.claim_chunk(run.pk, STUDENT_STAGES, 10, 60)) == 3

    monkeypatch.setattr(claims, "lock_ours", lock)
    assert select(run, claims.claim_chunk(run.pk, STUDENT_STAGES, 10, 60)) == 0
    assert Score.objects.count() == reload(run).scored_pairs == 6
    assert Verdict.objects.count() == 3
    assert standings(run) == [("reflect_response", "ready")] * 3


def select(run: Run, rows: list[RunSample]) -> int:
    """A chunk from its loading until it is saved."""
    from refinement.method.student import Student

    student = Student.load(StudentSpec.from_dict(run.config["student"]))
    cases = selecting.load_cases(rows)
    return selecting.settle(run, student, cases, selecting.score_cases(student, cases))


def test_a_paused_run_is_not_scored(run: Run) -> None:
    runs.pause_run(run=run)
    score_now(run)
    assert not Score.objects.exists()


def test_when_its_slice_is_over_a_loop_sends_itself_on(
    run: Run, wakes: list[tuple[str, int]]
) -> None:
    wakes.clear()
    score_now(run, slice_seconds=0)
    assert wakes == [("refinement.score", run.pk)]
    assert not Score.objects.exists()


def test_leases_are_renewed_while_the_student_works(
    transactional_db: None, run: Run, settings: Any
) -> None:
    settings.LEASE_SECONDS = 0.3
    rows = claims.claim_chunk(run.pk, STUDENT_STAGES, 10, settings.LEASE_SECONDS)
    first = rows[0].lease_expires_at
    row = RunSample.objects.get(pk=rows[0].pk)
    first = row.lease_expires_at
    with scoring.Holding(rows):
        while row.lease_expires_at == first:
            row.refresh_from_db()
    assert row.lease_token == rows[0].lease_token


def test_the_policy_of_the_run_decides(world: World) -> None:
    run = world.run(1)
    Run.objects.filter(pk=run.pk).update(
        config=run.config | {"policy": PolicySpec(require_response_accepted=False).as_dict()}
    )
    rewrite(run, "instruction")
    score_now(run)
    rewrite(run, "response", RunSample.objects.get(run=run).sample.as_pair())
    score_now(run)
    verdict = Verdict.objects.get()
    assert verdict.response_winner == "original"
    assert verdict.code != "response_not_accepted"


@pytest.mark.parametrize(
    ("count", "limit", "seconds", "expected"),
    [
        (4, 4, 0.01, 8),  # quick: twice as many
        (4, 4, 8.0, 1),  # slow: as many as fit
        (512, 512, 0.1, 512),
        (1, 1, 60.0, 1),
        (3, 64, 0.1, 64),  # there was no more work
    ],
)
def test_chunks_grow_to_their_time(count: int, limit: int, seconds: float, expected: int) -> None:
    assert scoring.next_limit(count, limit, seconds) == expected
