from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from refinement.models import Candidate, Run, RunSample, Score
from refinement.pipeline.scoring import score
from refinement.selectors.token_losses import token_losses
from tests.pipeline.world import make_world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(student_path: Path, wakes: list[tuple[str, int]]) -> Run:
    """One sample before the student; its rewrite has no response."""
    run = make_world(student_path=student_path).run(1)
    row = RunSample.objects.get(run=run)
    Candidate.objects.create(run_sample=row, kind="instruction", instruction="Go on", response="")
    RunSample.objects.filter(run=run).update(stage="select_instruction", state="ready")
    score(run.pk, stopping=threading.Event())
    return run


def test_a_run_keeps_the_losses_of_the_responses_tokens(run: Run) -> None:
    stored = Score.objects.get(run_sample__run=run, candidate=None)
    response = RunSample.objects.get(run=run).sample.response
    tokens = token_losses(stored)

    # The tiny student reads bytes and has no BOS, so it cannot predict the first one alone.
    assert [(token.start, token.end) for token in tokens] == [
        (n, n + 1) for n in range(len(response))
    ]
    assert tokens[0].alone is None
    alone = [token.alone for token in tokens[1:] if token.alone is not None]
    given = [t.given_instruction for t in tokens if t.given_instruction is not None]
    assert sum(alone) / len(alone) == pytest.approx(stored.loss_response, rel=1e-3)
    assert sum(given) / len(given) == pytest.approx(
        stored.loss_response_given_instruction, rel=1e-3
    )


def test_a_score_without_tokens_has_none(run: Run) -> None:
    assert token_losses(Score.objects.get(run_sample__run=run, candidate__isnull=False)) == []


def test_further_signals_are_stored_beside_them(run: Run) -> None:
    stored = Score.objects.get(run_sample__run=run, candidate=None)
    scores = stored.as_scores()

    assert stored.grape == pytest.approx(scores.grape)
    assert stored.s_ifd is not None
    assert stored.rsr is not None
    assert (scores.s_ifd, scores.rsr) == (stored.s_ifd, stored.rsr)
    assert not stored.straddled


def test_other_queries_leave_the_losses_where_they_are(run: Run) -> None:
    for found in (Score.objects.first(), RunSample.objects.get(run=run).scores.first()):
        assert found is not None
        assert "token_losses" in found.get_deferred_fields()
