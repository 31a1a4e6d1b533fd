"""A policy as people choose it: for a new run, and for a what-if."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext, gettext_lazy

from refinement import policy_errors
from refinement.method.errors import PolicyError
from refinement.method.policies import POLICIES, SIGNALS, get_policy
from refinement.method.specs import PolicySpec

if TYPE_CHECKING:
    from collections.abc import Mapping

HOW_MANY = [
    ("", gettext_lazy("all that pass")),
    ("percent", gettext_lazy("the best … %")),
    ("count", gettext_lazy("the best …")),
]
TITLES = [(name, gettext_lazy(recipe.title)) for name, recipe in POLICIES.items()]


def _limit(label: Any, at_one: Any) -> forms.FloatField:
    return forms.FloatField(
        label=label,
        required=False,
        initial=1,
        min_value=0.000001,
        help_text=at_one,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


class PolicyFields(forms.Form):
    """All of a ``PolicySpec``. ``policy`` gives it once the form is valid."""

    policy_name = forms.ChoiceField(
        label=gettext_lazy("Policy"),
        choices=TITLES,
        initial="paper",
        widget=forms.RadioSelect,
    )
    require_response_accepted = forms.BooleanField(
        label=gettext_lazy("Only pairs whose rewritten response was taken"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Then all responses you export come from one hand, the teacher's."),
    )
    max_ifd = _limit(
        gettext_lazy("IFD below"),
        gettext_lazy(
            "At 1 or above, the instruction does not help the student to the response. "
            "Empty: no such filter."
        ),
    )
    max_r_ifd = _limit(
        gettext_lazy("r-IFD below"),
        gettext_lazy(
            "At 1 or above, the response does not tell what was asked. Empty: no such filter."
        ),
    )
    top = forms.ChoiceField(label=gettext_lazy("Of those, keep"), choices=HOW_MANY, required=False)
    top_amount = forms.FloatField(
        label=gettext_lazy("How many"),
        required=False,
        min_value=0,
        help_text=gettext_lazy("A percentage of the pairs that pass, or a number of pairs."),
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    top_by = forms.ChoiceField(
        label=gettext_lazy("The best by"),
        choices=[(code, gettext_lazy(signal.name)) for code, signal in SIGNALS.items()],
        required=False,
    )
    diverse = forms.BooleanField(
        label=gettext_lazy("Spread them over the subjects"),
        required=False,
        help_text=gettext_lazy(
            "Chooses among four times as many of the best, so that the few kept resemble "
            "all of them. Needs an encoder."
        ),
    )
    encoder = forms.CharField(
        max_length=500,
        required=False,
        help_text=gettext_lazy(
            "The folder of a sentence-embedding model that the student workers can read: "
            "for coherence, and to spread pairs over subjects."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    seed = forms.IntegerField(
        required=False,
        initial=0,
        min_value=0,
        help_text=gettext_lazy("Of the policy “by chance”: the same seed, the same choice."),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            if data["top"] and not data["top_amount"]:
                self.add_error("top_amount", gettext("Say how many."))
            elif data["top"] == "count" and data["top_amount"] != int(data["top_amount"]):
                self.add_error("top_amount", gettext("Give a whole number of pairs."))
            else:
                self._check()
        return data

    def _check(self) -> None:
        try:
            get_policy(self.policy())
        except PolicyError as error:
            field = "top_amount" if error.field in ("top_count", "top_percent") else error.field
            self.add_error(field or None, policy_errors.in_words(error))

    def policy(self) -> PolicySpec:
        data = self.cleaned_data
        amount, top = data["top_amount"], data["top"]
        return PolicySpec(
            name=data["policy_name"],
            require_response_accepted=data["require_response_accepted"],
            max_ifd=data["max_ifd"],
            max_r_ifd=data["max_r_ifd"],
            seed=data["seed"] or 0,
            encoder=data["encoder"].strip(),
            top_by=(data["top_by"] or "ifd") if top else "",
            top_count=int(amount) if top == "count" else None,
            top_percent=amount if top == "percent" else None,
            diverse=data["diverse"] and bool(top),
        )

    @property
    def recipes(self) -> list[tuple[Any, str]]:
        """Each radio button with what its policy means."""
        radios = list(self["policy_name"])
        return [
            (radio, gettext(recipe.means))
            for radio, recipe in zip(radios, POLICIES.values(), strict=True)
        ]

    @property
    def is_plain(self) -> bool:
        """Whether the paper's policy is chosen, so that the others need not be open."""
        return self["policy_name"].value() == "paper" and not self["policy_name"].errors

    @property
    def has_top(self) -> bool:
        names = ("top_amount", "top", "encoder")
        return bool(self["top"].value()) or any(self[name].errors for name in names)


class WhatIfForm(PolicyFields):
    """The same beside the pictures. What the address leaves out is the run's own."""

    policy_name = forms.ChoiceField(
        label=gettext_lazy("Policy"),
        choices=TITLES,
    )


def as_fields(spec: PolicySpec) -> dict[str, Any]:
    """A policy as the values of the form."""
    kind = "count" if spec.top_count is not None else "percent" if spec.has_cut else ""
    return {
        "policy_name": spec.name,
        "require_response_accepted": spec.require_response_accepted,
        "max_ifd": spec.max_ifd,
        "max_r_ifd": spec.max_r_ifd,
        "top": kind,
        "top_amount": spec.top_count if spec.top_count is not None else spec.top_percent,
        "top_by": spec.top_by or "ifd",
        "diverse": spec.diverse,
        "encoder": spec.encoder,
        "seed": spec.seed,
    }


def as_query(spec: PolicySpec) -> str:
    """The same as part of an address, from which ``from_query`` reads it again."""
    values = {
        name: "on" if value is True else value
        for name, value in as_fields(spec).items()
        if value not in (None, "", False)
    }
    return urlencode({"what": "if"} | values)


def form_of(query: Mapping[str, str], own: PolicySpec) -> WhatIfForm:
    """The form as the address fills it, else as the run's own policy does."""
    return WhatIfForm(query if query.get("what") else as_fields(own))
