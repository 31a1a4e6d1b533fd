"""What the method says of its policies and signals, in the reader's language.

``refinement.method`` knows no Django, so its English words are listed here for the translators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_noop

from refinement.method.policies import POLICIES, SIGNALS

if TYPE_CHECKING:
    from refinement.method.specs import PolicySpec

TITLES = (
    gettext_noop("The paper's"),
    gettext_noop("Instruction alone"),
    gettext_noop("Response alone"),
    gettext_noop("Every rewritten instruction"),
    gettext_noop("Every rewritten response"),
    gettext_noop("Every rewrite (V1)"),
    gettext_noop("By chance"),
    gettext_noop("Coherence"),
    gettext_noop("Perplexity"),
    gettext_noop("IFD alone"),
    gettext_noop("r-IFD alone"),
    gettext_noop("GRAPE"),
    gettext_noop("S-IFD"),
    gettext_noop("Rank over surprisal"),
)
MEANS = (
    gettext_noop("The higher IFD wins the instruction, the lower r-IFD wins the response."),
    gettext_noop("The higher IFD wins the instruction; the response stays what came with it."),
    gettext_noop("The instruction stays the original; the lower r-IFD wins the response."),
    gettext_noop(
        "Takes each rewrite of the instruction and none of the response, whatever the scores."
    ),
    gettext_noop(
        "Keeps each instruction and takes each rewrite of the response, whatever the scores."
    ),
    gettext_noop(
        "Takes all that the teacher wrote: the first Reflection-Tuning, without selection."
    ),
    gettext_noop("A coin for each choice, from a seed: what selection has to beat."),
    gettext_noop(
        "The pair whose instruction and response are nearer to each other, by sentence embeddings."
    ),
    gettext_noop(
        "The pair with the lower perplexity as one text: what the student finds familiar."
    ),
    gettext_noop("The higher IFD wins both the instruction and the response."),
    gettext_noop("The lower r-IFD wins both the instruction and the response."),
    gettext_noop(
        "The response that the student is likeliest to give itself wins both choices "
        "(arXiv 2502.04194)."
    ),
    gettext_noop(
        "As the paper's, but the instruction is chosen by IFD over the tokens that it changes "
        "(T-SHIRT, arXiv 2506.01317)."
    ),
    gettext_noop(
        "The response that surprises the student within its reach wins both choices "
        "(arXiv 2601.14249)."
    ),
)
SIGNAL_NAMES = (
    gettext_noop("perplexity"),
    gettext_noop("likelihood of the response"),
    gettext_noop("rank-surprisal ratio"),
    gettext_noop("coherence"),
    gettext_noop("length of the response"),
)


def in_words(spec: PolicySpec) -> str:
    """A policy in one line: "The paper's: response taken, IFD below 1, r-IFD below 0.9"."""
    parts = [gettext("response taken")] if spec.require_response_accepted else []
    for name, limit in (("IFD", spec.max_ifd), ("r-IFD", spec.max_r_ifd)):
        if limit is not None:
            parts.append(
                gettext("%(name)s below %(limit)s")
                % {"name": name, "limit": number_format(f"{limit:g}")}
            )
    if spec.has_cut:
        parts.append(_cut(spec))
    title = gettext(POLICIES[spec.name].title) if spec.name in POLICIES else spec.name
    if spec.name == "random":
        title = gettext("%(policy)s (seed %(seed)s)") % {"policy": title, "seed": spec.seed}
    kept = ", ".join(parts) or gettext("every pair")
    return f"{title}: {kept}"


def _cut(spec: PolicySpec) -> str:
    amount = (
        number_format(spec.top_count, force_grouping=True)
        if spec.top_count
        else f"{number_format(f'{spec.top_percent:g}')} %"
    )
    words = gettext("the best %(amount)s by %(signal)s") % {
        "amount": amount,
        "signal": gettext(SIGNALS[spec.top_by].name),
    }
    spread = gettext("spread over the subjects")
    return f"{words}, {spread}" if spec.diverse else words
