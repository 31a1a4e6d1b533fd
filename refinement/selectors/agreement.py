"""Agreement among the people of a run, and between each of them and each policy.

People are compared on opinions alone: those were given without sight of each other. Policies are
compared with everything a person said that still stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from refinement.method.agreement import cohen_kappa, krippendorff_alpha, share_agreed
from refinement.method.policies import POLICIES, get_policy
from refinement.method.policies.columns import evaluate
from refinement.models import Decision, Opinion, User, Verdict
from refinement.selectors.run_columns import table_of
from refinement.selectors.what_if import policy_of, under_filters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refinement.models import Run

Action = Decision.Action
MOST_PAIRS = 5_000  # compared with the policies: the latest that people judged
RUNS_OWN = "this run's verdict"
_VERSIONS = ("original", "instruction", "response", "dropped")  # as the columns number them


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two judges on the pairs that both judged. ``kappa`` is None where it is not defined."""

    first: str
    second: str
    pairs: int
    share: float | None
    kappa: float | None


@dataclass(frozen=True, slots=True)
class AgreementTable:
    """``alpha`` is of all people together, over ``compared`` pairs that at least two judged."""

    people: list[Agreement]
    policies: list[Agreement]
    alpha: float | None
    compared: int


def agreement_of(run: Run) -> AgreementTable:
    """Every two people, every person with every policy; people by name."""
    opinions = _opinion_labels(run)
    said = _decision_labels(run)
    for user_id, labels in opinions.items():
        said.setdefault(user_id, {}).update(labels)
    users = {user.pk: user for user in User.objects.filter(pk__in=said)}
    names = {pk: users[pk].get_username() for pk in sorted(said, key=lambda pk: str(users[pk]))}
    units = _units(opinions)
    return AgreementTable(
        people=[
            _compare(names[a], opinions[a], names[b], opinions[b])
            for a, b in combinations([pk for pk in names if pk in opinions], 2)
        ],
        policies=[
            _compare(name, said[pk], policy, labels)
            for policy, labels in _policy_labels(run, said).items()
            for pk, name in names.items()
        ],
        alpha=krippendorff_alpha(units),
        compared=sum(len(labels) > 1 for labels in units),
    )


def _compare(
    first: str, labels: Mapping[int, str], second: str, others: Mapping[int, str]
) -> Agreement:
    both = [(labels[pk], others[pk]) for pk in labels if pk in others]
    return Agreement(first, second, len(both), share_agreed(both), cohen_kappa(both))


def _units(said: Mapping[int, Mapping[int, str]]) -> list[list[str]]:
    units: dict[int, list[str]] = {}
    for labels in said.values():
        for pk, label in labels.items():
            units.setdefault(pk, []).append(label)
    return list(units.values())


# -- What people said -----------------------------------------------------------------------------
def _opinion_labels(run: Run) -> dict[int, dict[int, str]]:
    """A label a pair (by id), by person."""
    rows = Opinion.objects.filter(run_sample__run=run, is_current=True)
    return _labels(rows.values_list("user", "run_sample", "action", "candidate__kind"))


def _decision_labels(run: Run) -> dict[int, dict[int, str]]:
    """Of what people decided on their own, unless undone; the later word on a pair replaces."""
    rows = Decision.objects.filter(run=run, undone_by=None, basis=Decision.Basis.OWN).exclude(
        action=Action.UNDO
    )
    latest = rows.order_by("-pk").values_list("pk", flat=True)[: MOST_PAIRS + 1]
    oldest = min(latest, default=0)
    found = rows.filter(pk__gte=oldest).order_by("pk")
    return _labels(found.values_list("user", "run_sample", "action", "candidate__kind"))


def _labels(rows: Iterable[tuple[int, int, str, str | None]]) -> dict[int, dict[int, str]]:
    verdicts: dict[int, str] = {}
    said: dict[int, dict[int, str]] = {}
    listed = list(rows)
    if any(action == Action.ACCEPT for _, _, action, _ in listed):
        verdicts = _verdict_labels([pk for _, pk, action, _ in listed])
    for user_id, pk, action, kind in listed:
        label = verdicts.get(pk, "dropped") if action == Action.ACCEPT else _label(action, kind)
        said.setdefault(user_id, {})[pk] = label
    return said


def _label(action: str, kind: str | None) -> str:
    """The version that a judgement leads to, or ``dropped``."""
    if action == Action.DROP:
        return "dropped"
    if action in (Action.CANDIDATE, Action.EDIT) and kind:
        return kind
    return "original"


# -- What policies say ----------------------------------------------------------------------------
def _verdict_labels(pairs: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in _chunks(sorted(set(pairs))):
        rows = Verdict.objects.filter(run_sample__in=chunk, kept__isnull=False).values_list(
            "run_sample", "kept", "chosen__kind"
        )
        found |= {pk: (kind or "original") if kept else "dropped" for pk, kept, kind in rows}
    return found


def _policy_labels(run: Run, said: Mapping[int, Mapping[int, str]]) -> dict[str, dict[int, str]]:
    """What the run's verdict and each policy, with the run's filters, say of the judged pairs."""
    judged = sorted({pk for labels in said.values() for pk in labels})[-MOST_PAIRS:]
    labels = {RUNS_OWN: _verdict_labels(judged)}
    # How many of a whole run are kept is no judgement of a pair.
    own = replace(policy_of(run), top_by="", top_count=None, top_percent=None, diverse=False)
    table = table_of(judged)
    ids = table.ids.tolist()
    for name, recipe in POLICIES.items():
        spec = under_filters(name, own)
        if spec.needs_encoder and not spec.encoder:
            continue
        outcome = evaluate(get_policy(spec), table.columns)
        led_to = np.where(outcome.kept, outcome.version, len(_VERSIONS) - 1).tolist()
        labels[recipe.title] = {pk: _VERSIONS[led] for pk, led in zip(ids, led_to, strict=True)}
    return labels


def _chunks(values: list[int], size: int = 500) -> Iterable[list[int]]:
    return (values[start : start + size] for start in range(0, len(values), size))
