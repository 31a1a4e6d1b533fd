from __future__ import annotations

import numpy as np
import pytest

from refinement.method.errors import MethodError
from refinement.method.policies import SampleScores, get_policy
from refinement.method.policies.columns import CODES, evaluate
from refinement.method.policies.cuts import cut, how_many, sentence
from refinement.method.policies.diversity import coverage, facility_location
from refinement.method.specs import PolicySpec
from tests.method.policies.test_columns import columns, scored

OPEN = PolicySpec(require_response_accepted=False, max_ifd=None, max_r_ifd=None)


def of_ifd(*ratios: float) -> list[SampleScores]:
    return [SampleScores(n, scored(1.0, 0.0, 0.5, float(np.log(r)))) for n, r in enumerate(ratios)]


def kept_by(spec: PolicySpec, samples: list[SampleScores]) -> list[int]:
    data = columns(samples)
    done = cut(spec, data, evaluate(get_policy(spec), data))
    return np.flatnonzero(done.outcome.kept).tolist()


def spec(**values: object) -> PolicySpec:
    return PolicySpec.from_dict(OPEN.as_dict() | {"top_by": "ifd"} | values)


def test_the_best_by_a_signal_stay_and_ties_go_by_position() -> None:
    samples = of_ifd(0.5, 0.9, 0.7, 0.9, 0.9)
    assert kept_by(spec(top_count=2), samples) == [1, 3]
    assert kept_by(spec(top_count=4), samples) == [1, 2, 3, 4]
    assert kept_by(spec(top_count=99), samples) == [0, 1, 2, 3, 4]


def test_lower_is_better_where_the_signal_says_so() -> None:
    samples = [SampleScores(n, scored(1.0, 1.0, 0.5, loss)) for n, loss in enumerate((3, 1, 2))]
    assert kept_by(spec(top_by="grape", top_count=1), samples) == [1]


def test_a_percentage_is_of_those_that_pass_the_filters() -> None:
    samples = of_ifd(0.5, 0.9, 0.7, 1.5, 1.8)
    done = spec(top_percent=34, max_ifd=1.0)
    assert kept_by(done, samples) == [1, 2]  # two of three


@pytest.mark.parametrize(
    ("percent", "passing", "count"), [(2, 46325, 927), (10, 100, 10), (0.01, 5, 1), (50, 0, 0)]
)
def test_a_share_is_rounded_up(percent: float, passing: int, count: int) -> None:
    assert how_many(spec(top_percent=percent), passing) == count


def test_what_is_cut_says_why() -> None:
    chosen = spec(top_count=2)
    data = columns(of_ifd(0.5, 0.9, 0.75))
    done = cut(chosen, data, evaluate(get_policy(chosen), data))
    assert CODES[done.outcome.code[0]] == "below_cut"
    assert sentence(chosen, done) == (
        "not kept: not among the 2 pairs with the highest IFD, which end at 0.75"
    )


def test_a_cut_over_nothing_keeps_nothing() -> None:
    assert kept_by(spec(top_count=3, max_ifd=0.1), of_ifd(0.5, 0.9)) == []
    assert kept_by(spec(top_count=3), []) == []


def test_pairs_without_the_signal_come_last() -> None:
    samples = of_ifd(0.5, 0.6)
    samples[0] = SampleScores(0, scored(1.0, 1.0, 0.5, 1.0))
    nothing = SampleScores(2, scored(1.0, None, 0.5, None))  # type: ignore[arg-type]
    assert kept_by(spec(top_count=2), [nothing, *samples]) == [1, 2]


# -- Diversity ------------------------------------------------------------------------------------
def clusters(sizes: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Tight groups in different directions."""
    random = np.random.default_rng(seed)
    rows = [np.eye(8)[axis] + random.normal(0, 0.05, (size, 8)) for axis, size in enumerate(sizes)]
    return np.concatenate(rows).astype(np.float32)


def test_each_subject_is_covered_before_any_is_covered_twice() -> None:
    vectors = clusters((50, 30, 5, 2))
    subjects = np.repeat(np.arange(4), (50, 30, 5, 2))
    assert sorted(subjects[facility_location(vectors, 4)]) == [0, 1, 2, 3]


def test_lazy_greedy_is_greedy() -> None:
    vectors = np.random.default_rng(1).normal(size=(60, 6)).astype(np.float32)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = np.maximum(units @ units.T, 0)
    covered, plain = np.zeros(60), []
    for _ in range(12):
        gains = np.maximum(likeness - covered, 0).sum(axis=1)
        gains[plain] = -1
        plain.append(int(gains.argmax()))
        covered = np.maximum(covered, likeness[plain[-1]])
    assert facility_location(vectors, 12).tolist() == plain


def test_it_covers_better_than_chance() -> None:
    vectors = clusters((300, 200, 100, 30, 20, 10))
    chosen = facility_location(vectors, 6)
    random = np.random.default_rng(2).permutation(len(vectors))[:6]
    assert coverage(vectors, chosen) > 0.95
    assert coverage(vectors, chosen) > coverage(vectors, random)


def test_nothing_and_more_than_there_are() -> None:
    assert facility_location(np.zeros((0, 4), np.float32), 3).tolist() == []
    rows = facility_location(clusters((3, 2)), 99)
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]


def test_what_has_no_place_is_chosen_last() -> None:
    vectors = clusters((3, 2))
    vectors[0], vectors[4] = 0, np.nan
    assert set(facility_location(vectors, 3).tolist()) == {1, 2, 3}


def test_diversity_chooses_among_the_better() -> None:
    samples = of_ifd(*np.linspace(0.9, 0.1, 40))
    chosen = spec(top_count=2, diverse=True, encoder="encoder")
    data = columns(samples)
    vectors = clusters((5, 3, 32))
    asked: list[int] = []

    def embeddings(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return vectors[rows]

    done = cut(chosen, data, evaluate(get_policy(chosen), data), embeddings)
    assert asked == list(range(8))  # four times two
    assert (done.rows[0] < 5, 5 <= done.rows[1] < 8) == (True, True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"top_count": 3, "top_percent": 3.0}, "not by both"),
        ({"top_count": 0}, "from 1 up"),
        ({"top_percent": 0.0}, "above 0"),
        ({"top_percent": 101.0}, "up to 100"),
        ({"top_count": 3, "top_by": "beauty"}, "no signal 'beauty'"),
        ({"diverse": True, "encoder": "encoder"}, "say how many"),
        ({"top_count": 3, "diverse": True}, "encoder model"),
        ({"name": "coherence"}, "encoder model"),
        ({"name": "always_instruction", "require_response_accepted": True}, "keep nothing"),
        ({"seed": -1}, "whole number"),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(MethodError, match=words):
        get_policy(spec(**values))
