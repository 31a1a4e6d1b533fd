"""How one choice between a base and its rewrite is made: by a signal, always, never, by a coin.

Each rule answers twice, for one pair in words and for all pairs as an array, and a test holds that
both answers are the same. Whatever the rule, a rewrite without the signal in question never wins,
and one that the student could not score at all is never taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from refinement.method.pairs import Choice, Scores, Side
from refinement.method.policies.words import WHY_NO_SIGNAL, apart, article, moved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refinement.method.policies.signals import Column, Signal

    Bools = NDArray[np.bool_]
    Keys = NDArray[np.uint64]

KEPT = {1: "the original", 2: "the earlier response"}  # by phase: what stays if the rewrite loses


@dataclass(frozen=True, slots=True)
class Contest:
    """One pair and its rewrite. ``key`` tells samples apart, ``phase`` is 1 or 2."""

    key: int
    phase: int
    base: Scores
    candidate: Scores | None

    @property
    def kept(self) -> str:
        return KEPT[self.phase]


@dataclass(frozen=True, slots=True)
class Contests:
    """The same for n samples: columns of the bases and of the rewrites, and where there is one."""

    keys: Keys
    phase: int
    base: Column
    candidate: Column
    has_candidate: Bools


class Rule(Protocol):
    @property
    def signal(self) -> Signal | None:
        """What it compares; ``None`` where it compares nothing."""
        ...

    def choose(self, contest: Contest) -> Choice: ...

    def wins(self, contests: Contests) -> Bools:
        """Where the rewrite wins. Shape: (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class BySignal:
    """The better value wins; a tie keeps what was there."""

    signal: Signal

    def choose(self, contest: Contest) -> Choice:
        before = self._shown(contest.base)
        if contest.candidate is None:
            return _no_candidate(contest, before)
        base, candidate = (self.signal.of_pair(s) for s in (contest.base, contest.candidate))
        after = self._shown(contest.candidate)
        if base is None or candidate is None or before is None or after is None:
            return _unscored(self.signal, contest, before, after)
        wins = candidate > base if self.signal.higher_wins else candidate < base
        return Choice(
            winner=Side.CANDIDATE if wins else Side.ORIGINAL,
            code=f"{self.signal.code}_{self._moved(base, candidate)}",
            sentence=self._sentence(
                contest.kept, self._moved(base, candidate), before, after, wins=wins
            ),
            before=before,
            after=after,
            margin=abs(after - before),
        )

    def wins(self, contests: Contests) -> Bools:
        before, after = self.signal.of_all(contests.base), self.signal.of_all(contests.candidate)
        better = after > before if self.signal.higher_wins else after < before
        scored = ~np.isnan(after)
        return contests.has_candidate & scored & (np.isnan(before) | better)

    def _shown(self, scores: Scores) -> float | None:
        value = self.signal.of_pair(scores)
        return None if value is None else self.signal.shown(value)

    def _moved(self, base: float, candidate: float) -> str:
        return moved(candidate, base) if self.signal.falls else moved(base, candidate)

    def _sentence(self, kept: str, how: str, before: float, after: float, *, wins: bool) -> str:
        name, (first, second) = self.signal.name, apart(before, after)
        if wins:
            return f"kept the rewrite: {name} {how} from {first} to {second}"
        if how == "tied":
            return f"kept {kept}: the rewrite has the same {name}, {first}"
        side = "higher" if how == "rose" else "lower"
        return f"kept {kept}: the rewrite has the {side} {name}, {second} against {first}"


@dataclass(frozen=True, slots=True)
class Always:
    """Every rewrite that the student can read is taken: reflection without selection."""

    signal: None = None

    def choose(self, contest: Contest) -> Choice:
        if contest.candidate is None:
            return _no_candidate(contest, None)
        if not _readable(contest.candidate):
            why = WHY_NO_SIGNAL[contest.candidate.reason]
            words = f"kept {contest.kept}: the rewrite cannot be scored, because {why}"
            return Choice(Side.ORIGINAL, "candidate_unscorable", words)
        words = "kept the rewrite: this policy takes every rewrite"
        return Choice(Side.CANDIDATE, "always", words)

    def wins(self, contests: Contests) -> Bools:
        return contests.has_candidate & _all_readable(contests.candidate)


@dataclass(frozen=True, slots=True)
class Never:
    """What was there stays: the other phase alone decides."""

    signal: None = None

    def choose(self, contest: Contest) -> Choice:
        words = f"kept {contest.kept}: this policy takes no rewrite in this phase"
        return Choice(Side.ORIGINAL, "never", words)

    def wins(self, contests: Contests) -> Bools:
        return np.zeros(len(contests.keys), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Coin:
    """One toss a sample and phase, of a seed: the same whenever and wherever it is asked."""

    seed: int
    signal: None = None

    def choose(self, contest: Contest) -> Choice:
        if contest.candidate is None:
            return _no_candidate(contest, None)
        always = Always().choose(contest)
        if always.winner == Side.ORIGINAL:
            return always
        heads = self._heads(np.array([contest.key], dtype=np.uint64), contest.phase)[0]
        if heads:
            return Choice(Side.CANDIDATE, "coin", f"kept the rewrite: by chance, seed {self.seed}")
        words = f"kept {contest.kept}: by chance, seed {self.seed}"
        return Choice(Side.ORIGINAL, "coin", words)

    def wins(self, contests: Contests) -> Bools:
        return Always().wins(contests) & self._heads(contests.keys, contests.phase)

    def _heads(self, keys: Keys, phase: int) -> Bools:
        """The highest bit of SplitMix64 (Steele et al., OOPSLA 2014) of seed, key and phase."""
        with np.errstate(over="ignore"):  # it wraps around by design
            mixed = keys * np.uint64(2) + np.uint64(phase - 1)
            mixed = _mixed(mixed + _mixed(np.array([self.seed], dtype=np.uint64)))
        return (mixed >> np.uint64(63)).astype(np.bool_)


def _mixed(z: Keys) -> Keys:
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _readable(scores: Scores) -> bool:
    """Whether the student could read the pair: it has one of the two ratios at least."""
    return scores.ifd is not None or scores.r_ifd is not None


def _all_readable(read: Column) -> Bools:
    return ~(np.isnan(read("ifd")) & np.isnan(read("r_ifd")))


def _no_candidate(contest: Contest, before: float | None) -> Choice:
    sentence = f"kept {contest.kept}: there is no rewrite"
    if contest.phase == 2:
        sentence += " of it"
    return Choice(Side.ORIGINAL, "no_candidate", sentence, before=before)


def _unscored(
    signal: Signal, contest: Contest, before: float | None, after: float | None
) -> Choice:
    """Where one of the two lacks the signal: a candidate without it never wins."""
    assert contest.candidate is not None  # noqa: S101 - the caller has looked
    base_why = WHY_NO_SIGNAL[contest.base.reason]
    why = WHY_NO_SIGNAL[contest.candidate.reason]
    if after is not None:
        winner, code, kept = Side.CANDIDATE, "original_unscorable", "the rewrite"
        words = f"what it replaces has no {signal.name}, because {base_why}"
    else:
        winner, kept = Side.ORIGINAL, contest.kept
        code = "candidate_unscorable" if before is not None else "both_unscorable"
        words = f"the rewrite has no {signal.name}, because {why}"
        if before is None:
            words = (
                f"neither it nor the rewrite has {article(signal.name)}, the latter because {why}"
            )
    return Choice(winner, code, f"kept {kept}: {words}", before=before, after=after)
