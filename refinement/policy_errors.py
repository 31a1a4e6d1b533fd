"""Why a policy makes no sense, in the reader's language.

``refinement.method`` knows no Django, so its English sentences are listed here for the translators;
``tests/test_policy_errors.py`` holds the list against the code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext, gettext_noop

if TYPE_CHECKING:
    from refinement.method.errors import PolicyError

TEMPLATES = (
    gettext_noop("There is no policy '%(name)s': choose one of %(known)s."),
    gettext_noop(
        "The policy '%(name)s' takes no rewritten response, so keeping only pairs whose "
        "rewritten response was accepted would keep nothing: switch that filter off."
    ),
    gettext_noop(
        "Coherence and diversity are measured by sentence embeddings: name the folder of an "
        "encoder model."
    ),
    gettext_noop("The policy's %(name)s is %(limit)s: give a number above 0, or none."),
    gettext_noop("The seed is %(seed)s: give a whole number from 0 to %(largest)s."),
    gettext_noop("Keep the best by number or by percentage, not by both."),
    gettext_noop("To keep the best, give a number of pairs from 1 up."),
    gettext_noop("To keep the best, give a percentage above 0 and up to 100."),
    gettext_noop("The best by what? There is no signal '%(name)s': one of %(known)s."),
    gettext_noop("Diversity is about which few to keep: say how many."),
)


def in_words(error: PolicyError) -> str:
    """The sentence of the error."""
    return gettext(error.template) % error.values
