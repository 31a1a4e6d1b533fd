"""The forms of the export pages: what an export holds, a link to it, a push of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from refinement.formats.writing.containers import CONTAINERS
from refinement.formats.writing.targets import AS_IMPORTED, TARGETS
from refinement.services.export_options import COLUMNS, SIGNALS, filter_of
from refinement.services.pushes import TOKEN_VARIABLE
from refinement.web import export_words as words
from refinement.web.forms import OnceForm
from refinement.web.policy_forms import WhatIfForm

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOR_TRAINING = [(name, words.SHAPES[name]) for name, t in TARGETS.items() if not t.preference]
_FOR_PREFERENCE = [(name, words.SHAPES[name]) for name, t in TARGETS.items() if t.preference]
_SHAPES = [
    (AS_IMPORTED, words.SHAPES[AS_IMPORTED]),
    (gettext_lazy("For training"), _FOR_TRAINING),
]


class DatasetExportForm(OnceForm):
    """What leaves of a dataset as it was imported."""

    shape = forms.ChoiceField(
        label=gettext_lazy("Shape"),
        choices=_SHAPES,
        initial=AS_IMPORTED,
        help_text=gettext_lazy("All further fields of a record come along in every shape."),
    )
    container = forms.ChoiceField(
        label=gettext_lazy("File"),
        choices=[(name, words.CONTAINERS[name]) for name in CONTAINERS],
        initial="jsonl",
    )
    validation_percent = forms.FloatField(
        label=gettext_lazy("Validation, %"),
        min_value=0,
        max_value=90,
        initial=0,
        required=False,
        help_text=gettext_lazy("Goes into a file of its own; 0: one file."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        initial=0,
        required=False,
        help_text=gettext_lazy("Chooses which; the same pairs at every export."),
    )
    deduplicate = forms.BooleanField(
        label=gettext_lazy("Without duplicates"),
        required=False,
        help_text=gettext_lazy("Of pairs whose texts are the same, only the first leaves."),
    )
    kept_as_is = forms.BooleanField(
        label=gettext_lazy("With the records kept as they are"),
        required=False,
        initial=True,
        help_text=gettext_lazy(
            "They held nothing to refine. They only leave in the shape of the import."
        ),
    )

    def options(self) -> dict[str, Any]:
        """As ``ExportOptions`` names them."""
        given = self.cleaned_data
        return {
            "shape": given["shape"],
            "container": given["container"],
            "validation_percent": given.get("validation_percent") or 0,
            "seed": given.get("seed") or 0,
            "deduplicate": given["deduplicate"],
            "kept_as_is": given["kept_as_is"],
        }

    def switches(self) -> Iterator[forms.BoundField]:
        yield self["deduplicate"]
        yield self["kept_as_is"]


class RunExportForm(DatasetExportForm):
    """What leaves of a run."""

    include = forms.ChoiceField(
        label=gettext_lazy("Pairs"),
        choices=[
            ("kept", gettext_lazy("Only the kept pairs")),
            ("all", gettext_lazy("All pairs of the run")),
        ],
        initial="kept",
        widget=forms.RadioSelect,
    )
    columns = forms.MultipleChoiceField(
        choices=[(name, words.COLUMNS[name]) for name in COLUMNS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    top_percent = forms.FloatField(
        label=gettext_lazy("Only the best, %"),
        min_value=0,
        max_value=100,
        required=False,
        help_text=gettext_lazy(
            "Of what would leave; empty: all of it. The paper's small setting takes 2 %."
        ),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    top_by = forms.ChoiceField(
        label=gettext_lazy("Best by"),
        choices=[(name, words.SIGNALS[name]) for name in SIGNALS],
        initial="ifd",
        required=False,
    )
    filter = forms.CharField(required=False, max_length=2000, widget=forms.HiddenInput)
    # Of a what-if, as in its page's address.
    policy = forms.CharField(required=False, max_length=2000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["shape"].choices = [  # type: ignore[attr-defined]
            *_SHAPES,
            (gettext_lazy("Preference pairs"), _FOR_PREFERENCE),
        ]

    def clean_policy(self) -> dict[str, Any]:
        return policy_in(self.cleaned_data["policy"])

    def options(self) -> dict[str, Any]:
        given = self.cleaned_data
        return super().options() | {
            "policy": given["policy"],
            "include": given["include"],
            "columns": given["columns"],
            "top_percent": given.get("top_percent"),
            "top_by": given.get("top_by") or "ifd",
            "filter": filter_of(given.get("filter", "")),
        }


def policy_in(query: str) -> dict[str, Any]:
    """The policy of a what-if's address; empty for the run's own. Raises ValidationError."""
    if not query:
        return {}
    form = WhatIfForm(QueryDict(query))
    if not form.is_valid():
        raise forms.ValidationError(gettext("This policy makes no sense. Choose it again."))
    return form.policy().as_dict()


class LinkForm(forms.Form):
    days = forms.TypedChoiceField(
        label=gettext_lazy("Valid for"),
        choices=[
            (1, gettext_lazy("a day")),
            (7, gettext_lazy("a week")),
            (30, gettext_lazy("30 days")),
            (90, gettext_lazy("90 days")),
        ],
        coerce=int,
        initial=7,
    )


class PushForm(OnceForm):
    repository = forms.CharField(
        label=gettext_lazy("Repository"),
        max_length=193,
        help_text=gettext_lazy(
            "On huggingface.co, as <code>owner/name</code>. It is made if it does not exist."
        ),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    token_variable = forms.CharField(
        label=gettext_lazy("Variable of the token"),
        max_length=80,
        initial=TOKEN_VARIABLE,
        help_text=gettext_lazy(
            "The name of the environment variable that holds a token with the right to write, "
            "set where the workers run. Never the token itself."
        ),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    private = forms.BooleanField(
        label=gettext_lazy("Private"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Only counts for a repository that is made now."),
    )
