"""A policy over a whole run at once: the same verdicts as sample by sample, from arrays.

n is the number of samples with all their scores. Every array has the shape (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refinement.method.policies.rules import Contests
from refinement.method.policies.signals import IFD, R_IFD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refinement.method.policies.policy import Policy
    from refinement.method.policies.signals import Column, Signal

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Small = NDArray[np.uint8]

ORIGINAL, INSTRUCTION, RESPONSE = range(3)  # the versions of a sample, as numbers
CODES = (
    "kept",
    "response_not_accepted",
    "no_ifd",
    "ifd_too_high",
    "no_r_ifd",
    "r_ifd_too_high",
    "below_cut",
)
_CODE = {name: number for number, name in enumerate(CODES)}


@dataclass(frozen=True, slots=True)
class Columns:
    """The scores of n samples: for each of the three versions, the numbers in ``STORED``.

    A version that is absent is NaN throughout; ``has_*`` tells it from one without scores.
    ``response_of_instruction``: the response rewrite belongs to the rewritten instruction.
    """

    keys: NDArray[np.uint64]
    versions: tuple[Mapping[str, Floats], Mapping[str, Floats], Mapping[str, Floats]]
    has_instruction: Bools
    has_response: Bools
    response_of_instruction: Bools

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, version: int) -> Column:
        """The columns of one version. What is read may be changed only after a copy."""
        return lambda name: self.versions[version][name]

    def mixed(self, version: Small) -> Column:
        """The columns of the version that each sample has in ``version``."""
        return lambda name: np.choose(version, [of[name] for of in self.versions])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy makes of n samples. ``version``: the pair that both choices lead to."""

    took_instruction: Bools
    took_response: Bools
    version: Small
    code: Small  # into CODES
    missing: Bools  # it chose an instruction whose response nobody rewrote

    @property
    def kept(self) -> Bools:
        return np.equal(self.code, _CODE["kept"])


def evaluate(policy: Policy, columns: Columns) -> Outcome:
    """The verdicts of ``policy`` on all samples, without its cut (``cuts.cut``)."""
    first, second = policy.rules
    took_instruction = first.wins(
        Contests(
            keys=columns.keys,
            phase=1,
            base=columns.read(ORIGINAL),
            candidate=columns.read(INSTRUCTION),
            has_candidate=columns.has_instruction,
        )
    )
    base = np.where(took_instruction, np.uint8(INSTRUCTION), np.uint8(ORIGINAL))
    fits = columns.has_response & (columns.response_of_instruction == took_instruction)
    took_response = second.wins(
        Contests(
            keys=columns.keys,
            phase=2,
            base=columns.mixed(base),
            candidate=columns.read(RESPONSE),
            has_candidate=fits,
        )
    )
    version = np.where(took_response, np.uint8(RESPONSE), base)
    return Outcome(
        took_instruction=took_instruction,
        took_response=took_response,
        version=version,
        code=_conclude(policy, columns.mixed(version), took_response),
        missing=columns.has_response & ~fits & policy.recipe.takes_responses,
    )


def _conclude(policy: Policy, final: Column, took_response: Bools) -> Small:
    """The first filter that fails, from the last to the first."""
    spec = policy.spec
    code = np.zeros(len(took_response), dtype=np.uint8)
    for signal, limit in ((R_IFD, spec.max_r_ifd), (IFD, spec.max_ifd)):
        if limit is not None:
            _fail(code, signal, signal.of_all(final), limit)
    if spec.require_response_accepted:
        code[~took_response] = _CODE["response_not_accepted"]
    return code


def _fail(code: Small, signal: Signal, values: Floats, limit: float) -> None:
    code[values >= limit] = _CODE[f"{signal.code}_too_high"]
    code[np.isnan(values)] = _CODE[f"no_{signal.code}"]
