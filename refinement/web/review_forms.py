"""What the review room posts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms

from refinement.method.pairs import Pair
from refinement.models import Candidate, Decision

if TYPE_CHECKING:
    from refinement.models import RunSample, Sample


@dataclass(frozen=True, slots=True)
class Draft:
    """An edit that was not saved: its texts go back into the editor."""

    instruction: str
    input: str
    response: str
    base: int | None


class DecisionForm(forms.Form):
    """One decision. ``take`` is the candidate of a candidate's button, ``base`` what an edit
    started from, ``seen`` the decision that the page showed (0: none)."""

    action = forms.CharField(required=False, max_length=20)
    take = forms.IntegerField(required=False, min_value=1)
    base = forms.IntegerField(required=False, min_value=1)
    seen = forms.IntegerField(min_value=0)
    instruction = forms.CharField(required=False, strip=False)
    input = forms.CharField(required=False, strip=False)
    response = forms.CharField(required=False, strip=False)

    def __init__(self, data: Any, *, run_sample: RunSample) -> None:
        super().__init__(data)
        self.run_sample = run_sample

    def clean(self) -> dict[str, Any]:
        """Adds ``candidate``, and for an edit ``edit``, as the service wants them."""
        data = self.cleaned_data
        if data.get("take"):
            data["action"] = Decision.Action.CANDIDATE
        number = data.get("take") or data.get("base")
        data["candidate"] = self._candidate(number) if number else None
        data["edit"] = self._edit() if data.get("action") == Decision.Action.EDIT else None
        return data

    def _candidate(self, number: int) -> Candidate:
        candidate = Candidate.objects.filter(pk=number, run_sample=self.run_sample).first()
        if candidate is None:
            raise forms.ValidationError("That candidate belongs to another pair. Reload the page.")
        return candidate

    def _edit(self) -> Pair:
        base: Candidate | Sample = self.cleaned_data["candidate"] or self.run_sample.sample
        typed = self.cleaned_data
        return Pair(
            instruction=as_typed(base.instruction, typed.get("instruction") or ""),
            input=as_typed(base.input, typed.get("input") or ""),
            response=as_typed(base.response, typed.get("response") or ""),
        )

    @property
    def draft(self) -> Draft | None:
        """What was typed, if this was an edit, valid or not."""
        if self.data.get("action") != Decision.Action.EDIT:
            return None
        base = self.data.get("base", "")
        return Draft(
            instruction=self.data.get("instruction", ""),
            input=self.data.get("input", ""),
            response=self.data.get("response", ""),
            base=int(base) if base.isdecimal() else None,
        )

    @property
    def complaint(self) -> str:
        """Why the form was refused, as one sentence."""
        for name, errors in self.errors.items():
            if name in ("instruction", "input", "response"):
                return f"The {name} cannot be saved: {errors[0]}"
            if name == "__all__":
                return str(errors[0])
        return "This form is out of date. Reload the page and decide again."


def as_typed(base: str, typed: str) -> str:
    """``typed`` with the line ends of ``base``: browsers send CRLF whatever they were given.

    An unchanged text comes back to the letter, so that an edit of one field touches only that.
    """
    plain = _unix(typed)
    if plain == _unix(base):
        return base
    return plain.replace("\n", "\r\n") if "\r\n" in base else plain


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
