"""Kappa and alpha, held against NLTK and the krippendorff package on random judgements."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask

from refinement.method.agreement import cohen_kappa, krippendorff_alpha, share_agreed

LABELS = st.sampled_from(["original", "rewrite", "dropped"])


@given(st.lists(st.tuples(LABELS, LABELS), min_size=2, max_size=30))
def test_kappa_is_that_of_nltk(pairs: list[tuple[str, str]]) -> None:
    ours = cohen_kappa(pairs)
    assume(ours is not None)
    data = [(who, n, labels[who]) for n, labels in enumerate(pairs) for who in (0, 1)]
    assert ours == pytest.approx(AnnotationTask(data).kappa_pairwise(0, 1))


@given(st.lists(st.lists(st.sampled_from([0, 1, 2, np.nan]), min_size=3, max_size=3), min_size=2))
def test_alpha_is_that_of_krippendorff(rows: list[list[float]]) -> None:
    """Three judges who leave out what they like (nan)."""
    ours = krippendorff_alpha([[x for x in row if x == x] for row in rows])
    assume(ours is not None)
    theirs = krippendorff.alpha(
        np.array(rows).T, value_domain=[0, 1, 2], level_of_measurement="nominal"
    )
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_full_agreement_is_one_and_chance_is_zero() -> None:
    both = [("a", "a"), ("b", "b")]
    assert cohen_kappa(both) == krippendorff_alpha(both) == 1
    assert cohen_kappa([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]) == 0
    assert share_agreed([("a", "a"), ("a", "b")]) == 0.5


@pytest.mark.parametrize("pairs", [[], [("a", "a"), ("a", "a")]])
def test_what_is_not_defined_is_none(pairs: list[tuple[str, str]]) -> None:
    assert cohen_kappa(pairs) is None
    assert krippendorff_alpha(pairs) is None
