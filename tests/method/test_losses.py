from __future__ import annotations

import math

import pytest
import torch

from refinement.method.losses import LOGITS_A_SLICE, target_losses


def test_losses_and_ranks_of_four_words_by_hand() -> None:
    # Odds 1 : 2 : 4 : 1, of eight in all.
    logits = torch.tensor([[0.0, math.log(2), math.log(4), 0.0]]).repeat(4, 1)
    found = target_losses(logits, torch.tensor([2, 1, 0, 3]), ranked=3)

    assert found.losses.tolist() == pytest.approx([math.log(8 / n) for n in (4, 2, 1, 1)])
    assert found.ranks.tolist() == [1, 2, 3]  # a tie is not above


@pytest.mark.parametrize("ranked", [0, 1, 5, 8])
def test_slices_change_nothing(ranked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(6, 40, bias=False)
    states, labels = torch.randn(8, 6), torch.arange(8) * 4
    with torch.inference_mode():
        logits = head(states)
        monkeypatch.setitem(LOGITS_A_SLICE, "cpu", 3 * 40)
        found = target_losses(states, labels, ranked=ranked, head=head)

    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    order = logits.argsort(dim=1, descending=True)
    ranks = [order[n].tolist().index(int(labels[n])) + 1 for n in range(ranked)]
    assert found.losses.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert found.ranks.tolist() == ranks


def test_logits_too_large_for_an_exponential_are_fine() -> None:
    found = target_losses(torch.tensor([[1e4, 0.0]]), torch.tensor([1]), ranked=1)

    assert found.losses.tolist() == [1e4]
