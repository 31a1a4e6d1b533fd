"""What people type about prompts and money when they prepare a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy

from refinement.method.prompt_set import DEFAULT, LONGEST_PROMPT, RULES, PromptSet, problems
from refinement.models import Dataset, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet
    from django.forms.boundfield import BoundField

PREFIX = "prompt-"


class PromptsForm(forms.Form):
    """One field for each prompt. What is left empty or as it was is the default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rule in RULES.items():
            default = getattr(DEFAULT, name)
            holds = [f"{{{word}}}" for word in (*rule.required, *rule.optional)]
            used = "staged turns" if rule.protocols == ("staged",) else "one reply"
            self.fields[PREFIX + name] = forms.CharField(
                label=rule.label,
                initial=default,
                required=False,
                max_length=LONGEST_PROMPT,
                strip=False,
                help_text=(
                    ("" if len(rule.protocols) == 3 else f"For {used}. ")
                    + (f"May hold {', '.join(holds)}." if holds else "")
                ),
                widget=forms.Textarea(attrs={"rows": min(6, 1 + len(default) // 70)}),
            )

    def clean(self) -> dict[str, Any]:
        for name, sentence in problems(self.prompts().as_dict()).items():
            self.add_error(PREFIX + name, sentence)
        return self.cleaned_data

    def prompts(self) -> PromptSet:
        """A browser sends line ends as two characters; a prompt has one."""
        texts = {}
        for name in RULES:
            text = (self.cleaned_data.get(PREFIX + name) or "").replace("\r\n", "\n")
            texts[name] = text if text.strip() else getattr(DEFAULT, name)
        return PromptSet(**texts)

    def shown(self) -> Iterator[BoundField]:
        return iter(self)


class TrialForm(forms.Form):
    """Which teacher is asked about which pair, before a run. Of the form that starts one."""

    dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        error_messages={
            "required": gettext_lazy("Choose a dataset first."),
            "invalid_choice": gettext_lazy("Choose a dataset of this project that is ready."),
        },
    )
    teacher = forms.ModelChoiceField(
        queryset=Endpoint.objects.all(),
        error_messages={"required": gettext_lazy("Choose a teacher first.")},
    )
    protocol = forms.ChoiceField(
        choices=[("", gettext_lazy("As registered")), *Endpoint.Protocol.choices], required=False
    )
    limit = forms.IntegerField(required=False, min_value=1)
    pair = forms.IntegerField(required=False, min_value=1)

    def __init__(self, *args: Any, datasets: QuerySet[Dataset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = datasets


class BudgetForm(forms.Form):
    """What a run may use. Empty: no bound."""

    budget_tokens = forms.IntegerField(
        label=gettext_lazy("Budget in tokens"),
        required=False,
        min_value=1,
        help_text=gettext_lazy(
            "Of prompts and replies together. No question begins that could pass it."
        ),
    )
    budget_cost = forms.DecimalField(
        label=gettext_lazy("Budget in money"),
        required=False,
        min_value=0,
        max_digits=16,
        decimal_places=8,
        help_text=gettext_lazy("In the currency of the teacher's prices."),
    )


class SpendForm(BudgetForm):
    """Budget, storage, and who teaches: beside RunForm on the page that starts a run."""

    ask_anew = forms.BooleanField(
        label=gettext_lazy("Ask everything anew"),
        required=False,
        help_text=gettext_lazy(
            "Else a question that this teacher was asked before in this project is answered "
            "from storage, at no cost."
        ),
    )
    teacher_is_student = forms.BooleanField(
        label=gettext_lazy("The student is its own teacher"),
        required=False,
        help_text=gettext_lazy(
            "Self-improvement: takes the registered teacher that serves the chosen student, "
            "whatever is marked above."
        ),
    )
