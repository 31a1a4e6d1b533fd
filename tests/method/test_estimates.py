import random

import pytest

from refinement.method.estimates import estimate_total, student_t


def test_nothing_measured_says_nothing():
    assert estimate_total([], 100) is None
    assert estimate_total([1.0], 0) is None


def test_one_measurement_has_no_range():
    estimate = estimate_total([120.0], 1000)
    assert (estimate.expected, estimate.low, estimate.high) == (120_000.0, None, None)


def test_by_hand():
    estimate = estimate_total([100.0, 200.0], 50)
    # mean 150, s = 70.71, t(1) = 12.71: 12.71 · 70.71 · 50 · sqrt(1/2 + 1/50) = 32404
    assert estimate.expected == 7500
    assert estimate.high == pytest.approx(7500 + 32404, abs=2)
    assert estimate.low == 0.0


def test_equal_measurements_are_certain():
    estimate = estimate_total([7.0] * 5, 10)
    assert (estimate.low, estimate.expected, estimate.high) == (70.0, 70.0, 70.0)


def test_quantiles_fall_towards_the_normal():
    values = [student_t(n) for n in range(1, 400)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(1.97)


def test_the_range_holds_the_truth_as_often_as_it_says():
    chance = random.Random(1)
    held = 0
    for _ in range(400):
        measured = [chance.lognormvariate(0, 0.5) for _ in range(8)]
        total = sum(chance.lognormvariate(0, 0.5) for _ in range(100))
        estimate = estimate_total(measured, 100)
        held += estimate.low <= total <= estimate.high
    assert 0.88 <= held / 400 <= 0.99
