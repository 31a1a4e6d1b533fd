"""How far judges agree beyond chance. Plain numbers; labels may be anything that can be hashed.

Cohen, "A coefficient of agreement for nominal scales", 1960; Krippendorff, "Computing
Krippendorff's Alpha-Reliability", 2011.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence


def share_agreed(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """The part of the units on which two judges said the same; ``None`` without units."""
    if not pairs:
        return None
    return sum(first == second for first, second in pairs) / len(pairs)


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Kappa of two judges, from the two labels of each unit that both judged.

    1: always the same, 0: as often as by chance. ``None`` where it is not defined: no unit, or both
    gave one and the same label to everything, so that chance explains all.
    """
    observed = share_agreed(pairs)
    if observed is None:
        return None
    firsts, seconds = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(firsts[label] * seconds[label] for label in firsts) / len(pairs) ** 2
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Alpha for nominal labels; a unit is the labels that its judges gave, however many.

    Units with fewer than two labels say nothing and are left out. ``None`` where it is not defined:
    nothing to compare, or one label throughout.
    """
    weights: dict[tuple[Hashable, Hashable], float] = {}
    for labels in units:
        if len(labels) < 2:
            continue
        counts = Counter(labels)
        for first, n in counts.items():
            for second, m in counts.items():
                together = n * (m - (first == second)) / (len(labels) - 1)
                weights[first, second] = weights.get((first, second), 0.0) + together
    totals: dict[Hashable, float] = {}
    for (first, _), weight in weights.items():
        totals[first] = totals.get(first, 0.0) + weight
    whole = sum(totals.values())
    expected = whole**2 - sum(total**2 for total in totals.values())
    if not expected:
        return None
    observed = sum(weight for (first, second), weight in weights.items() if first != second)
    return 1 - (whole - 1) * observed / expected
