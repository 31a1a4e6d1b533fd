"""The pairs whose verdict another policy would turn, as a filter of the queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from refinement.method.errors import PolicyError
from refinement.method.policies import get_policy
from refinement.method.specs import PolicySpec
from refinement.selectors.run_columns import run_table
from refinement.selectors.what_if import flipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.models import Run

LONGEST = 1_000  # characters of a policy in an address
_SWITCHES = {"require_response_accepted", "diverse"}
_WORDS = {"name", "encoder", "top_by"}


def write_policy(spec: PolicySpec) -> str:
    """A policy in few characters: what differs from the paper's, as JSON."""
    plain = PolicySpec().as_dict()
    different = {name: value for name, value in spec.as_dict().items() if value != plain[name]}
    return json.dumps(different, sort_keys=True, separators=(",", ":"))


def read_policy(text: str) -> PolicySpec | None:
    """What ``write_policy`` wrote; ``None`` for anything else, and for a policy without sense."""
    try:
        found = json.loads(text[:LONGEST])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(_fits(*item) for item in found.items()):
        return None
    spec = PolicySpec.from_dict(found)
    try:
        get_policy(spec)
    except PolicyError:
        return None
    return spec


def _fits(name: str, value: Any) -> bool:
    if name in _SWITCHES:
        return isinstance(value, bool)
    if name in _WORDS:
        return isinstance(value, str)
    if name in ("seed", "top_count") and isinstance(value, float):
        return False
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


class Turned:
    """The ids of a run's pairs that a policy would turn, or turn against people."""

    def __init__(self, run: Run, policy: str, *, against: bool) -> None:
        spec = read_policy(policy)
        self.ids = np.zeros(0, dtype=np.int64)
        if spec is not None:
            self.ids = flipped(run, run_table(run), spec, against=against)

    def fits(self, asked: Sequence[int]) -> set[int]:
        found: list[int] = np.intersect1d(self.ids, np.array(asked, dtype=np.int64)).tolist()
        return set(found)
