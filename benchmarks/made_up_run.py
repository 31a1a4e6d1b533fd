"""A finished run of made-up scores, through the ORM: what a benchmark of whole runs reads."""

from __future__ import annotations

import math
import random
from typing import Any

from refinement.method.specs import PolicySpec
from refinement.models import (
    Candidate,
    Dataset,
    Decision,
    Project,
    Run,
    RunSample,
    Sample,
    Score,
    User,
)
from refinement.services.models_registry import embedded_student, embedded_teacher
from refinement.services.starting import run_config

LOT = 5_000
PEOPLE = 4
DECIDED = 0.05  # of all samples


def make_run(count: int) -> Run:
    dice = random.Random(1)
    project = Project.objects.create(name="Made up")
    dataset = Dataset.objects.create(project=project, name="Made up", status="ready")
    teacher, student = embedded_teacher(), embedded_student()
    run = Run.objects.create(
        project=project,
        dataset=dataset,
        teacher=teacher,
        student=student,
        name="Made up",
        status="complete",
        scored_pairs=3 * count,
        config=run_config(teacher=teacher, student=student, policy=PolicySpec()),
    )
    people = [User.objects.create_user(f"reviewer-{n}") for n in range(PEOPLE)]
    for start in range(0, count, LOT):
        _lot(run, range(start, min(start + LOT, count)), people, dice)
    return run


def _lot(run: Run, places: range, people: list[User], dice: random.Random) -> None:
    samples = _write(
        Sample(
            dataset=run.dataset,
            position=n,
            line=n + 1,
            instruction=f"Question {n}?",
            response="An answer.",
            content_hash=f"{n:064x}",
        )
        for n in places
    )
    rows = _write(
        RunSample(run=run, sample=s, position=s.position, stage="done", state="done")
        for s in samples
    )
    first = _write(_rewrite(row, "instruction", None) for row in rows)
    taken = [candidate if dice.random() < 0.3 else None for candidate in first]
    second = _write(
        _rewrite(row, "response", parent) for row, parent in zip(rows, taken, strict=True)
    )
    for candidates in ([None] * len(rows), first, second):
        _write(_score(r, c, dice) for r, c in zip(rows, candidates, strict=True))
    some = [row for row in rows if dice.random() < DECIDED]
    said = _write(
        Decision(
            run_sample=row,
            run=run,
            user=dice.choice(people),
            action=dice.choice(["original", "drop"]),
        )
        for row in some
    )
    for row, decision in zip(some, said, strict=True):
        row.decision = decision
    RunSample.objects.bulk_update(some, ["decision"], batch_size=500)


def _write(rows: Any) -> list[Any]:
    made: list[Any] = list(rows)
    return type(made[0]).objects.bulk_create(made, batch_size=1_000) if made else []


def _rewrite(row: RunSample, kind: str, parent: Candidate | None) -> Candidate:
    return Candidate(
        run_sample=row, kind=kind, parent=parent, instruction="Better?", response="Better."
    )


def _score(row: RunSample, candidate: Candidate | None, dice: random.Random) -> Score:
    x, y = dice.uniform(2, 4), dice.uniform(1, 3)
    x_y, y_x = x + dice.gauss(-0.3, 0.3), y + dice.gauss(-0.3, 0.3)
    return Score(
        run_sample=row,
        candidate=candidate,
        status="scored",
        loss_instruction=x,
        loss_response=y,
        loss_instruction_given_response=x_y,
        loss_response_given_instruction=y_x,
        ifd=math.exp(y_x - y),
        r_ifd=math.exp(x_y - x),
        s_ifd=math.exp(1.1 * (y_x - y)),
        grape=math.exp(-y_x),
        rsr=dice.uniform(1, 9),
        instruction_tokens=dice.randrange(5, 60),
        response_tokens=dice.randrange(5, 400),
        template="vicuna",
        student_fingerprint="0" * 64,
    )
