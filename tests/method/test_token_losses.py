from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.method.pairs import Pair
from refinement.method.scoring import score_pairs, score_with_tokens
from refinement.method.templates import get_template
from tests.method.tiny_student import reload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from refinement.method.student import Student
    from refinement.method.token_losses import TokenLoss

VICUNA = get_template("vicuna")
PAIR = Pair("Name the primary colours.", "Red, Gelb für 黄 🙂, and blue.")


def mean(tokens: Sequence[TokenLoss]) -> float:
    return sum(token.loss for token in tokens) / len(tokens)


def covered(tokens: Sequence[TokenLoss]) -> set[int]:
    return {at for token in tokens for at in range(token.start, token.end)}


def test_scores_are_the_same_as_without_tokens(tiny: Student) -> None:
    pairs = [PAIR, Pair("Categorise this.", "2"), Pair("x", "")]

    scores = [scores for scores, _ in score_with_tokens(tiny, pairs, VICUNA)]

    assert [s.reason for s in scores] == ["", "too_short", "empty"]
    for ours, other in zip(scores, score_pairs(tiny, pairs, VICUNA), strict=True):
        assert ours.r_ifd == pytest.approx(other.r_ifd, abs=1e-6)
        assert ours.ifd == pytest.approx(other.ifd, abs=1e-6)


def test_the_losses_are_means_of_the_tokens(tiny: Student) -> None:
    [(scores, tokens)] = score_with_tokens(tiny, [PAIR], VICUNA)

    assert mean(tokens.alone) == pytest.approx(scores.losses.response, abs=1e-5)
    assert mean(tokens.given_instruction) == pytest.approx(
        scores.losses.response_given_instruction, abs=1e-5
    )


def test_tokens_stand_where_they_are_in_the_response(tiny: Student, tiny_bos: Student) -> None:
    [(_, without_bos)] = score_with_tokens(tiny, [PAIR], VICUNA)
    [(_, with_bos)] = score_with_tokens(tiny_bos, [PAIR], VICUNA)
    all_of_it = set(range(len(PAIR.response)))

    assert covered(without_bos.given_instruction) == all_of_it
    assert covered(with_bos.given_instruction) == covered(with_bos.alone) == all_of_it
    first = without_bos.alone[0].start
    assert first > 0  # nothing stands before the first token, so nothing predicts it
    assert covered(without_bos.alone) == set(range(first, len(PAIR.response)))


def test_after_a_chat_template_too(tiny_bos: Student) -> None:
    [(scores, tokens)] = score_with_tokens(tiny_bos, [PAIR], tiny_bos.template("chat"))

    assert covered(tokens.given_instruction) == set(range(len(PAIR.response)))
    assert mean(tokens.given_instruction) == pytest.approx(
        scores.losses.response_given_instruction, abs=1e-5
    )


def test_a_response_that_is_cut_has_tokens_up_to_the_cut(tiny_folder: Path) -> None:
    student = reload(tiny_folder, max_length=100)
    pair = Pair("Go on", "sentence after sentence, " * 9)
    [(scores, tokens)] = score_with_tokens(student, [pair], get_template("none"))

    assert scores.truncated
    for found in (tokens.alone, tokens.given_instruction):
        assert 50 < max(covered(found)) < len(pair.response) - 1
        assert min(covered(found)) <= 8


def test_without_a_loss_there_are_no_tokens(tiny: Student) -> None:
    [(_, short), (_, empty)] = score_with_tokens(
        tiny, [Pair("x of it", "2"), Pair("x", "")], VICUNA
    )

    assert (short.alone, empty.alone, empty.given_instruction) == ((), (), ())
    assert [(token.start, token.end) for token in short.given_instruction] == [(0, 1)]
