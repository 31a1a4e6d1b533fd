"""What another policy would keep, beside what the run's own keeps and what people said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from refinement.method.policies import POLICIES, get_policy
from refinement.method.policies.columns import RESPONSE, evaluate
from refinement.method.policies.cuts import cut
from refinement.method.specs import PolicySpec
from refinement.selectors.run_columns import EDITED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refinement.method.policies.columns import Outcome
    from refinement.models import Run
    from refinement.selectors.run_columns import RunTable

OUTCOMES_KEPT = 32  # policies a table remembers, at 0.5 MB for 100,000 samples


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What one policy makes of a run. Lengths are mean tokens of the response over kept pairs."""

    kept: int
    took_instruction: int
    took_response: int
    missing: int  # pairs whose response nobody rewrote for the instruction that it chose
    tokens_original: float | None
    tokens_kept: float | None
    decided: int  # by people
    agrees: int  # of those: the same pair kept, or both not

    @property
    def against(self) -> int:
        return self.decided - self.agrees


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A policy against the run's own. ``flips``: verdicts on whether a pair is kept that turn."""

    total: int
    now: PolicyReport
    then: PolicyReport
    gained: int
    lost: int
    rewritten: int  # kept by both, but as another text
    flips_against: int  # flips that go against what a person decided

    @property
    def flips(self) -> int:
        return self.gained + self.lost

    @property
    def difference(self) -> int:
        return self.then.kept - self.now.kept

    @property
    def size(self) -> int:
        """Of the difference, without its sign."""
        return abs(self.difference)


def policy_of(run: Run) -> PolicySpec:
    return PolicySpec.from_dict(run.config.get("policy", {}))


def what_if(run: Run, table: RunTable, spec: PolicySpec) -> WhatIf:
    """Raises PolicyError for a policy that makes no sense.

    A verdict that somebody accepted stands whatever comes, so it is counted as it was accepted;
    ``flips_against`` still tells where the policy would have it otherwise.
    """
    now, then = outcome_of(table, policy_of(run)), outcome_of(table, spec)
    people = table.said
    against = people.decided & (now.kept != then.kept) & (then.kept != people.kept)
    free = ~people.accepted
    before, after = (np.where(free, one.kept, people.kept) for one in (now, then))
    return WhatIf(
        total=len(table),
        now=replace(report(table, now), kept=int(before.sum())),
        then=replace(report(table, then), kept=int(after.sum())),
        gained=int((after & ~before).sum()),
        lost=int((before & ~after).sum()),
        rewritten=int((free & before & after & (now.version != then.version)).sum()),
        flips_against=int(against.sum()),
    )


def flipped(
    run: Run, table: RunTable, spec: PolicySpec, *, against: bool = False
) -> NDArray[np.int64]:
    """The ids of the run samples whose verdict would turn, in the order of the dataset.

    ``against``: only those where it would go against what a person decided.
    """
    now, then = outcome_of(table, policy_of(run)), outcome_of(table, spec)
    turned = (now.kept != then.kept) | (now.kept & (now.version != then.version))
    turned &= ~table.said.accepted
    if against:
        turned = (now.kept != then.kept) & table.said.decided & (then.kept != table.said.kept)
    ids: NDArray[np.int64] = table.ids[turned]
    return ids


def compare_policies(table: RunTable, filters: PolicySpec) -> dict[str, PolicyReport | None]:
    """Every policy of the catalogue under these filters; ``None`` where its signal is missing."""
    return {name: _report_by_name(table, replace(filters, name=name)) for name in POLICIES}


def under_filters(name: str, filters: PolicySpec) -> PolicySpec:
    """The policy ``name`` as the comparison has it: with these filters, as far as it knows them."""
    accepted = filters.require_response_accepted and POLICIES[name].takes_responses
    return replace(filters, name=name, require_response_accepted=accepted)


def _measured(table: RunTable, spec: PolicySpec) -> bool:
    """Whether any rewrite has the signals that the policy chooses by."""
    signals = [rule.signal for rule in POLICIES[spec.name].rules(spec)]
    return all(
        signal is None or not np.isnan(signal.of_all(table.columns.read(RESPONSE))).all()
        for signal in signals
    )


def _report_by_name(table: RunTable, spec: PolicySpec) -> PolicyReport | None:
    if not _measured(table, spec):
        return None
    spec = replace(under_filters(spec.name, spec), encoder=spec.encoder or "measured")
    return report(table, outcome_of(table, spec))


def report(table: RunTable, outcome: Outcome) -> PolicyReport:
    kept, people = outcome.kept, table.said
    tokens = table.columns.read(0)("response_tokens")[kept]
    after = table.columns.mixed(outcome.version)("response_tokens")[kept]
    same_text = (outcome.version == people.version) | (people.version == EDITED)
    agrees = people.decided & (kept == people.kept) & (~kept | same_text)
    return PolicyReport(
        kept=int(kept.sum()),
        took_instruction=int(outcome.took_instruction.sum()),
        took_response=int(outcome.took_response.sum()),
        missing=int(outcome.missing.sum()),
        tokens_original=float(np.nanmean(tokens)) if len(tokens) else None,
        tokens_kept=float(np.nanmean(after)) if len(after) else None,
        decided=int(people.decided.sum()),
        agrees=int(agrees.sum()),
    )


def outcome_of(table: RunTable, spec: PolicySpec) -> Outcome:
    """The verdicts of a policy with its cut, by value alone: spreading takes a background task."""
    known = table.outcomes.get(spec)
    if known is None:
        known = evaluate(get_policy(spec), table.columns)
        if spec.has_cut:
            known = cut(spec, table.columns, known).outcome
        if len(table.outcomes) >= OUTCOMES_KEPT:
            table.outcomes.clear()
        table.outcomes[spec] = known
    return known
