"""A finished run over made-up pairs with made-up losses, judged by a policy as the product does."""

from __future__ import annotations

import hashlib
import math
import random
from typing import TYPE_CHECKING

from django.utils import timezone

from refinement.method.policies import get_policy
from refinement.method.specs import PolicySpec
from refinement.models import Candidate, Run, RunSample, Sample, Score, Verdict
from refinement.services.deriving import _scores
from refinement.services.verdicts import complete

if TYPE_CHECKING:
    from tests.review_room import Room

Kind = Candidate.Kind


def fill(room: Room, count: int, *, spec: PolicySpec | None = None, seed: int = 1) -> Run:
    """``count`` samples, done. Every 7th has no IFD, every 11th a response of the other text."""
    run, dice = room.run, random.Random(seed)
    spec = spec or PolicySpec()
    rows = _rows(run, count)
    for row in rows:
        first = _candidate(row, Kind.INSTRUCTION, None)
        scores = [_score(row, None, dice), _score(row, first, dice)]
        better = (scores[1].ifd or 0) > (scores[0].ifd or 0)
        second = _candidate(row, Kind.RESPONSE, first if better else None)
        Score.objects.bulk_create([*scores, _score(row, second, dice)])
    run.config = run.config | {"policy": spec.as_dict()}
    run.scored_pairs = Score.objects.filter(run_sample__run=run).count()
    run.status, run.finished_at = Run.Status.COMPLETE, timezone.now()
    run.save()
    policy = get_policy(spec)
    scores_of, candidates = _scores(rows)
    Verdict.objects.bulk_create(
        complete(Verdict(run_sample=r), policy, 0, policy.judge(scores_of[r.pk]), candidates[r.pk])
        for r in rows
    )
    return run


def make_stray(run: Run) -> RunSample:
    """A pair that keeps its original, whose IFD now lies far beyond all others."""
    pair = run.run_samples.filter(verdict__chosen=None, scores__ifd__isnull=False).first()
    assert pair is not None
    stray = pair.scores.get(candidate=None)
    stray.ifd = 12.0
    stray.loss_response_given_instruction = stray.loss_response + math.log(stray.ifd)
    stray.save()
    pair.verdict.save()  # which its entry in the queue follows
    return pair


def _rows(run: Run, count: int) -> list[RunSample]:
    samples = Sample.objects.bulk_create(
        Sample(
            dataset=run.dataset,
            position=n,
            line=n + 1,
            instruction=f"Question {n}?",
            input="Some input." if n % 3 == 0 else "",
            response=f"Answer {n}.",
            extra={"source": "books" if n % 2 else "letters"},
            content_hash=hashlib.sha256(f"{n}".encode()).hexdigest(),
        )
        for n in range(count)
    )
    return RunSample.objects.bulk_create(
        RunSample(run=run, sample=s, position=s.position, stage="done", state="done")
        for s in samples
    )


def _candidate(row: RunSample, kind: str, parent: Candidate | None) -> Candidate:
    return Candidate.objects.create(
        run_sample=row, kind=kind, parent=parent, instruction="A better question?", response="Yes."
    )


def _score(row: RunSample, candidate: Candidate | None, dice: random.Random) -> Score:
    x, y = dice.uniform(2, 4), dice.uniform(1, 3)
    x_y, y_x = x + dice.gauss(-0.3, 0.3), y + dice.gauss(-0.3, 0.3)
    blind = (row.position + (candidate is not None)) % 7 == 0
    return Score(
        run_sample=row,
        candidate=candidate,
        status="unscorable" if blind else "scored",
        reason="too_short" if blind else "",
        loss_instruction=x,
        loss_response=None if blind else y,
        loss_instruction_given_response=x_y,
        loss_response_given_instruction=None if blind else y_x,
        ifd=None if blind else math.exp(y_x - y),
        r_ifd=math.exp(x_y - x),
        s_ifd=None if blind else math.exp(y_x - y) * 0.9,
        rsr=None if blind else dice.uniform(1, 9),
        instruction_tokens=dice.randrange(5, 40),
        response_tokens=dice.randrange(5, 400),
        template="vicuna",
        student_fingerprint="f" * 64,
    )
