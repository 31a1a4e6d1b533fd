"""Each sentence of the method about a policy is there to be translated."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

import pytest
from django.utils import translation

from refinement import policy_errors
from refinement.method.errors import PolicyError
from refinement.method.policies import get_policy, policy
from refinement.method.specs import PolicySpec

if TYPE_CHECKING:
    from collections.abc import Iterator


def raised() -> Iterator[str]:
    for call in ast.walk(ast.parse(inspect.getsource(policy))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "PolicyError":
            yield ast.literal_eval(call.args[0])


def test_every_sentence_is_listed() -> None:
    assert sorted(raised()) == sorted(policy_errors.TEMPLATES)


def test_a_sentence_in_german() -> None:
    with pytest.raises(PolicyError) as caught:
        get_policy(PolicySpec(name="best"))
    with translation.override("de"):
        assert policy_errors.in_words(caught.value).startswith("Es gibt keine Regel „best“")
