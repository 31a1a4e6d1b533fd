"""Who wins and why: from stored scores to verdicts, a sample at a time or a whole run at once.

* ``signals``: the numbers that a choice can be made by.
* ``rules``: how one choice between a base and its rewrite is made.
* ``catalogue``: the policies by name: the paper's, its ablations and later ones.
* ``policy``: both choices and the filters, for one sample, with the reasons in words.
* ``columns``: the same for all samples of a run, as arrays.
* ``cuts`` and ``diversity``: which of those that pass stay, where only so many are wanted.
"""

from refinement.method.policies.catalogue import POLICIES, Recipe
from refinement.method.policies.policy import Policy, SampleScores, get_policy
from refinement.method.policies.signals import SIGNALS, Signal
from refinement.method.policies.words import apart

__all__ = [
    "POLICIES",
    "SIGNALS",
    "Policy",
    "Recipe",
    "SampleScores",
    "Signal",
    "apart",
    "get_policy",
]
