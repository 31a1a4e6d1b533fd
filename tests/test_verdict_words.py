"""Every sentence that a policy can say is known to the pages, and said in German on them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from django.utils import translation

from refinement.management.synthetic_cases import make_cases
from refinement.method.policies import POLICIES, SampleScores, get_policy
from refinement.method.policies.policy import Version
from refinement.method.specs import PolicySpec
from refinement.verdict_words import in_their_words


def said(name: str) -> set[str]:
    """What a policy says of a hundred made-up samples, with and without rewrites and filters."""
    takes = POLICIES[name].takes_responses
    plain = PolicySpec(name=name, require_response_accepted=takes, encoder="x")
    bare = replace(plain, require_response_accepted=False, max_ifd=None, max_r_ifd=None)
    found: set[str] = set()
    for number, case in enumerate(make_cases(100, random.Random(5))):
        whole = SampleScores(
            key=number,
            original=case.original,
            instruction=case.first,
            response=case.second,
            response_of=Version.INSTRUCTION if case.takes_first else Version.ORIGINAL,
        )
        for sample in (whole, replace(whole, instruction=None), replace(whole, response=None)):
            for spec in (plain, bare):
                verdict, _ = get_policy(spec).judge(sample)
                found |= {verdict.sentence, verdict.instruction.sentence, verdict.response.sentence}
    return found


@pytest.mark.parametrize("name", POLICIES)
def test_each_policy_in_german(name: str) -> None:
    for words in said(name):
        assert in_their_words(words) == words
        with translation.override("de"):
            assert in_their_words(words) != words, words


def test_numbers_names_and_the_unknown() -> None:
    with translation.override("de"):
        assert (
            in_their_words("kept the rewrite: r-IFD fell from 0.70 to 0.52")
            == "behielt die Neufassung: r-IFD fiel von 0,70 auf 0,52"
        )
        assert (
            in_their_words(
                "kept: the rewrite of the response was accepted, IFD 0.91 is below 1.00 and "
                "r-IFD 0.52 is below 1.00"
            )
            == "behalten: die neue Antwort wurde angenommen, IFD 0,91 liegt unter 1,00 und "
            "r-IFD 0,52 liegt unter 1,00"
        )
        assert (
            in_their_words("not kept: not among the 1,200 pairs with the highest IFD")
            == "nicht behalten: nicht unter den 1.200 Paaren mit höchstem IFD"
        )
        assert in_their_words("Kept: by hand.") == "Kept: by hand."
