"""What the review room posts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext

from refinement.method.pairs import Pair
from refinement.models import Candidate, Decision

if TYPE_CHECKING:
    from refinement.models import RunSample, Sample
    from refinement.selectors.review import Version


@dataclass(frozen=True, slots=True)
class Draft:
    """An edit that was not saved: its texts go back into the editor."""

    instruction: str
    input: str
    response: str
    base: int | None
    side: str = ""  # in blind mode, instead of ``base``


class DecisionForm(forms.Form):
    """One decision. ``take`` is the candidate of a candidate's button, ``base`` what an edit
    started from, ``seen`` the decision that the page showed (0: none).

    A blind page knows no candidates: with ``sides`` given, ``side`` and ``base`` are letters.
    """

    action = forms.CharField(required=False, max_length=20)
    take = forms.IntegerField(required=False, min_value=1)
    side = forms.CharField(required=False, max_length=1)
    base = forms.CharField(required=False, max_length=20)
    seen = forms.IntegerField(min_value=0)
    instruction = forms.CharField(required=False, strip=False)
    input = forms.CharField(required=False, strip=False)
    response = forms.CharField(required=False, strip=False)

    def __init__(
        self, data: Any, *, run_sample: RunSample, sides: dict[str, Version] | None = None
    ) -> None:
        super().__init__(data)
        self.run_sample = run_sample
        self.sides = sides

    def clean(self) -> dict[str, Any]:
        """Adds ``candidate``, and for an edit ``edit``, as the service wants them."""
        data = self.cleaned_data
        if self.sides is not None:
            self._choose_side(data, self.sides)
        else:
            if data.get("take"):
                data["action"] = Decision.Action.CANDIDATE
            number = data.get("take") or data.get("base")
            data["candidate"] = self._candidate(str(number)) if number else None
        data["edit"] = self._edit() if data.get("action") == Decision.Action.EDIT else None
        return data

    def _choose_side(self, data: dict[str, Any], sides: dict[str, Version]) -> None:
        """Turn a letter into the original or the candidate that stands under it."""
        letter = data.get("side") or data.get("base") or ""
        if data.get("action") == Decision.Action.DROP:
            data["candidate"] = None
            return
        if letter not in sides:
            raise forms.ValidationError(
                gettext("This pair is reviewed blind: choose one of its sides, edit or drop it.")
            )
        data["candidate"] = sides[letter].candidate
        if data.get("side"):
            taken = data["candidate"] is not None
            data["action"] = Decision.Action.CANDIDATE if taken else Decision.Action.ORIGINAL

    def _candidate(self, number: str) -> Candidate:
        known = Candidate.objects.filter(run_sample=self.run_sample)
        candidate = known.filter(pk=number).first() if number.isdecimal() else None
        if candidate is None:
            raise forms.ValidationError(
                gettext("That candidate belongs to another pair. Reload the page.")
            )
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
            side=base if self.sides is not None else "",
        )

    @property
    def complaint(self) -> str:
        """Why the form was refused, as one sentence."""
        for name, errors in self.errors.items():
            if name in ("instruction", "input", "response"):
                return gettext("The %(name)s cannot be saved: %(why)s") % {
                    "name": gettext(name),
                    "why": errors[0],
                }
            if name == "__all__":
                return str(errors[0])
        return gettext("This form is out of date. Reload the page and decide again.")


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
