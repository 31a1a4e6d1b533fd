"""Tokens of a pair scored before they were kept: asked for, read once, no score changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.models import RunSample, Score, TokenWish
from refinement.pipeline.token_scoring import score_tokens
from refinement.selectors.token_losses import token_losses
from refinement.services.errors import ServiceError
from refinement.services.token_wishes import ask_for_tokens, wishes
from tests.pipeline.test_scoring import rewrite, score_now

if TYPE_CHECKING:
    from refinement.models import Run
    from tests.pipeline.world import World


@pytest.fixture
def run(world: World) -> Run:
    """One sample, scored, whose tokens nobody kept."""
    run = world.run(1)
    rewrite(run, "instruction")
    score_now(run)
    return run


def test_the_same_tokens_come_back_and_nothing_else_changes(run: Run, world: World) -> None:
    row = RunSample.objects.get(run=run)
    kept = {s.pk: token_losses(s) for s in Score.objects.all()}
    before = list(Score.objects.order_by("pk").values("pk", "ifd", "r_ifd", "loss_response"))
    assert all(kept.values())
    with pytest.raises(ServiceError, match="already"):
        ask_for_tokens(run_sample=row, user=world.user)
    Score.objects.update(token_losses=None)
    ask_for_tokens(run_sample=row, user=world.user)
    ask_for_tokens(run_sample=row, user=world.user)
    assert wishes() == [row.pk]
    score_tokens(row.pk)
    for score in Score.objects.all():
        for found, first in zip(token_losses(score), kept[score.pk], strict=True):
            assert (found.start, found.end) == (first.start, first.end)
            assert found.given_instruction == pytest.approx(first.given_instruction, abs=0.01)
    assert (
        list(Score.objects.order_by("pk").values("pk", "ifd", "r_ifd", "loss_response")) == before
    )
    assert not TokenWish.objects.exists()
    score_tokens(row.pk)  # a message that comes twice


def test_a_student_that_is_another_one_says_so_and_may_be_asked_again(
    run: Run, world: World
) -> None:
    row = RunSample.objects.get(run=run)
    Score.objects.update(token_losses=None)
    ask_for_tokens(run_sample=row, user=world.user)
    run.student_fingerprint = "0" * 64
    run.save()
    score_tokens(row.pk)
    assert "not those that the run began with" in TokenWish.objects.get().error
    assert wishes() == []
    ask_for_tokens(run_sample=row, user=world.user)
    assert wishes() == [row.pk]
