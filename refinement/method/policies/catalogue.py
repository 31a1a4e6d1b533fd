"""The policies by name, each two rules: one for the instruction, one for the response.

The first is the paper's (arXiv 2402.10110, section 3). Then its ablations (section 4.4): reflection
without selection, and selection by something else. Then later measures in the same two places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refinement.method.policies.rules import Always, BySignal, Coin, Never
from refinement.method.policies.signals import COHERENCE, GRAPE, IFD, PERPLEXITY, R_IFD, RSR, S_IFD

if TYPE_CHECKING:
    from collections.abc import Callable

    from refinement.method.policies.rules import Rule
    from refinement.method.specs import PolicySpec


@dataclass(frozen=True, slots=True)
class Recipe:
    """A policy by name. ``title`` and ``means`` are for people; ``rules`` makes both rules."""

    title: str
    means: str
    rules: Callable[[PolicySpec], tuple[Rule, Rule]]
    takes_responses: bool = True  # else the filter on accepted responses would keep nothing
    uses_seed: bool = False


def _fixed(first: Rule, second: Rule) -> Callable[[PolicySpec], tuple[Rule, Rule]]:
    return lambda _: (first, second)


def _coins(spec: PolicySpec) -> tuple[Rule, Rule]:
    return Coin(spec.seed), Coin(spec.seed)


POLICIES: dict[str, Recipe] = {
    "paper": Recipe(
        "The paper's",
        "The higher IFD wins the instruction, the lower r-IFD wins the response.",
        _fixed(BySignal(IFD), BySignal(R_IFD)),
    ),
    "select_instruction": Recipe(
        "Instruction alone",
        "The higher IFD wins the instruction; the response stays what came with it.",
        _fixed(BySignal(IFD), Never()),
        takes_responses=False,
    ),
    "select_response": Recipe(
        "Response alone",
        "The instruction stays the original; the lower r-IFD wins the response.",
        _fixed(Never(), BySignal(R_IFD)),
    ),
    "always_instruction": Recipe(
        "Every rewritten instruction",
        "Takes each rewrite of the instruction and none of the response, whatever the scores.",
        _fixed(Always(), Never()),
        takes_responses=False,
    ),
    "always_response": Recipe(
        "Every rewritten response",
        "Keeps each instruction and takes each rewrite of the response, whatever the scores.",
        _fixed(Never(), Always()),
    ),
    "always_both": Recipe(
        "Every rewrite (V1)",
        "Takes all that the teacher wrote: the first Reflection-Tuning, without selection.",
        _fixed(Always(), Always()),
    ),
    "random": Recipe(
        "By chance",
        "A coin for each choice, from a seed: what selection has to beat.",
        _coins,
        uses_seed=True,
    ),
    "coherence": Recipe(
        "Coherence",
        "The pair whose instruction and response are nearer to each other, by sentence embeddings.",
        _fixed(BySignal(COHERENCE), BySignal(COHERENCE)),
    ),
    "perplexity": Recipe(
        "Perplexity",
        "The pair with the lower perplexity as one text: what the student finds familiar.",
        _fixed(BySignal(PERPLEXITY), BySignal(PERPLEXITY)),
    ),
    "ifd_only": Recipe(
        "IFD alone",
        "The higher IFD wins both the instruction and the response.",
        _fixed(BySignal(IFD), BySignal(IFD)),
    ),
    "r_ifd_only": Recipe(
        "r-IFD alone",
        "The lower r-IFD wins both the instruction and the response.",
        _fixed(BySignal(R_IFD), BySignal(R_IFD)),
    ),
    "grape": Recipe(
        "GRAPE",
        "The response that the student is likeliest to give itself wins both choices "
        "(arXiv 2502.04194).",
        _fixed(BySignal(GRAPE), BySignal(GRAPE)),
    ),
    "s_ifd": Recipe(
        "S-IFD",
        "As the paper's, but the instruction is chosen by IFD over the tokens that it changes "
        "(T-SHIRT, arXiv 2506.01317).",
        _fixed(BySignal(S_IFD), BySignal(R_IFD)),
    ),
    "rsr": Recipe(
        "Rank over surprisal",
        "The response that surprises the student within its reach wins both choices "
        "(arXiv 2601.14249).",
        _fixed(BySignal(RSR), BySignal(RSR)),
    ),
}
