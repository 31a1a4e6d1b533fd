"""The forms of the export pages: what an export holds, a link to it, a push of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from refinement.formats.writing.containers import CONTAINERS
from refinement.formats.writing.targets import AS_IMPORTED, TARGETS
from refinement.services.export_options import COLUMNS, SIGNALS, filter_of
from refinement.services.pushes import TOKEN_VARIABLE
from refinement.web.forms import OnceForm

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHAPES = [
    (AS_IMPORTED, "As it was imported"),
    (
        "For training",
        [(t.name, f"{t.label} – {t.hint}") for t in TARGETS.values() if not t.preference],
    ),
    (
        "Preference pairs",
        [(t.name, f"{t.label} – {t.hint}") for t in TARGETS.values() if t.preference],
    ),
]


class DatasetExportForm(OnceForm):
    """What leaves of a dataset as it was imported."""

    shape = forms.ChoiceField(
        choices=[choice for choice in _SHAPES if choice[0] != "Preference pairs"],
        initial=AS_IMPORTED,
        help_text="All further fields of a record come along in every shape.",
    )
    container = forms.ChoiceField(
        label="File",
        choices=[(name, container.label) for name, container in CONTAINERS.items()],
        initial="jsonl",
    )
    validation_percent = forms.FloatField(
        label="Validation, %",
        min_value=0,
        max_value=90,
        initial=0,
        required=False,
        help_text="Goes into a file of its own; 0: one file.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    seed = forms.IntegerField(
        initial=0,
        required=False,
        help_text="Chooses which; the same pairs at every export.",
    )
    deduplicate = forms.BooleanField(
        label="Without duplicates",
        required=False,
        help_text="Of pairs whose texts are the same, only the first leaves.",
    )
    kept_as_is = forms.BooleanField(
        label="With the records kept as they are",
        required=False,
        initial=True,
        help_text="They held nothing to refine. They only leave in the shape of the import.",
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
        label="Pairs",
        choices=[("kept", "Only the kept pairs"), ("all", "All pairs of the run")],
        initial="kept",
        widget=forms.RadioSelect,
    )
    columns = forms.MultipleChoiceField(
        choices=[(name, f"{name.capitalize()}: {what}") for name, what in COLUMNS.items()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    top_percent = forms.FloatField(
        label="Only the best, %",
        min_value=0,
        max_value=100,
        required=False,
        help_text="Of what would leave; empty: all of it. The paper's small setting takes 2 %.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    top_by = forms.ChoiceField(
        label="Best by", choices=[*SIGNALS.items()], initial="ifd", required=False
    )
    filter = forms.CharField(required=False, max_length=2000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["shape"].choices = _SHAPES  # type: ignore[attr-defined]

    def options(self) -> dict[str, Any]:
        given = self.cleaned_data
        return super().options() | {
            "include": given["include"],
            "columns": given["columns"],
            "top_percent": given.get("top_percent"),
            "top_by": given.get("top_by") or "ifd",
            "filter": filter_of(given.get("filter", "")),
        }


class LinkForm(forms.Form):
    days = forms.TypedChoiceField(
        label="Valid for",
        choices=[(1, "a day"), (7, "a week"), (30, "30 days"), (90, "90 days")],
        coerce=int,
        initial=7,
    )


class PushForm(OnceForm):
    repository = forms.CharField(
        max_length=193,
        help_text="On huggingface.co, as <code>owner/name</code>. It is made if it does not exist.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    token_variable = forms.CharField(
        label="Variable of the token",
        max_length=80,
        initial=TOKEN_VARIABLE,
        help_text="The name of the environment variable that holds a token with the right to "
        "write, set where the workers run. Never the token itself.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    private = forms.BooleanField(
        required=False, initial=True, help_text="Only counts for a repository that is made now."
    )
