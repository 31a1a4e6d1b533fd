"""What people type, checked. A form tells what is wrong beside the field."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_lazy, ngettext

from refinement.method.errors import StudentError
from refinement.method.student_files import check_student_path
from refinement.models import Dataset, Endpoint, Membership, Student, User
from refinement.web.policy_forms import PolicyFields


class ProjectForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        help_text=gettext_lazy("What the data is for. Everybody in the project sees it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Membership.Role)


class MemberForm(forms.Form):
    """Somebody who has an account, and what they may do."""

    username = forms.CharField(
        max_length=150,
        help_text=gettext_lazy("The name they sign in with."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    role = forms.ChoiceField(choices=Membership.Role, initial=Membership.Role.REVIEWER)

    def clean_username(self) -> User:
        username = self.cleaned_data["username"].strip()
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise forms.ValidationError(
                gettext(
                    "Nobody signs in as “%(username)s”. Check the spelling, or ask staff for "
                    "an account."
                )
                % {"username": username}
            )
        return user


_STALE = gettext_lazy("This form is out of date. Load the page again.")


class OnceForm(forms.Form):
    """A form that creates one thing, however often it is sent (services/submissions.py)."""

    token = forms.UUIDField(
        widget=forms.HiddenInput, error_messages={"required": _STALE, "invalid": _STALE}
    )


class DatasetForm(OnceForm):
    """A file and a name for it. ``refusal`` says why the upload handler took no file."""

    name = forms.CharField(
        max_length=200,
        required=False,
        help_text=gettext_lazy("Left empty, it is the file's name."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    file = forms.FileField(
        error_messages={
            "required": gettext_lazy("Choose a file."),
            "empty": gettext_lazy("The file is empty. Choose one that holds records."),
        },
        widget=forms.FileInput(
            attrs={"accept": ".json,.jsonl,.ndjson,.csv,.tsv,.parquet,.arrow,.gz,.zst"}
        ),
    )
    # The last field of the body: without it the body ended early, in the middle of the file.
    whole = forms.CharField(required=False, widget=forms.HiddenInput, initial="yes")

    def __init__(self, *args: Any, refusal: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if refusal:
            self.fields["file"].error_messages["required"] = refusal

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("file") and not self.cleaned_data.get("whole"):
            self.add_error(
                "file",
                gettext("The upload was cut off half-way. Nothing was stored; try again."),
            )
        return self.cleaned_data


class ServerFileForm(OnceForm):
    """A file, or a dataset folder, within the server's folder."""

    name = forms.CharField(max_length=1000, strip=False)
    split = forms.CharField(max_length=100, required=False)


if TYPE_CHECKING:  # Django's own class takes no parameter at run time
    _DatasetField = forms.ModelChoiceField[Dataset]
else:
    _DatasetField = forms.ModelChoiceField


class DatasetChoice(_DatasetField):
    def label_from_instance(self, obj: Dataset) -> str:
        words = ngettext(
            "%(name)s (%(pairs)s pair)", "%(name)s (%(pairs)s pairs)", obj.sample_count
        )
        return words % {"name": obj.name, "pairs": intcomma(obj.sample_count)}


class RunForm(PolicyFields, OnceForm):
    """All that shapes a run."""

    dataset = DatasetChoice(
        queryset=Dataset.objects.none(),
        empty_label=None,
        error_messages={
            "invalid_choice": gettext_lazy("Choose a dataset of this project that is ready.")
        },
    )
    limit = forms.IntegerField(
        label=gettext_lazy("First pairs only"),
        required=False,
        min_value=1,
        help_text=gettext_lazy(
            "A number runs only the first pairs: a cheap trial. Empty: all of them."
        ),
    )
    teacher = forms.ModelChoiceField(
        queryset=Endpoint.objects.all(), widget=forms.RadioSelect, empty_label=None
    )
    protocol = forms.ChoiceField(
        choices=[("", gettext_lazy("As registered")), *Endpoint.Protocol.choices],
        required=False,
        help_text=gettext_lazy("How the teacher is asked. Small models only manage staged turns."),
    )
    student = forms.ModelChoiceField(
        queryset=Student.objects.all(), widget=forms.RadioSelect, empty_label=None
    )
    template = forms.ChoiceField(
        choices=[("", gettext_lazy("As registered")), *Student.Template.choices],
        required=False,
        help_text=gettext_lazy(
            "The prompt that pairs are scored under. Take the one you will train with: for "
            "chats the model's own, which puts system prompt and earlier turns where they belong."
        ),
    )
    name = forms.CharField(
        label=gettext_lazy("Name of the run"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Left empty, it is named after the dataset and the teacher."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, datasets: QuerySet[Dataset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = datasets
        if not datasets.filter(given_rewrites__isnull=False).exists():
            teacher = self.fields["teacher"]
            assert isinstance(teacher, forms.ModelChoiceField)  # noqa: S101
            teacher.queryset = Endpoint.objects.exclude(base_url="")

    def clean_student(self) -> Student:
        student: Student = self.cleaned_data["student"]
        try:
            check_student_path(student.path, student.revision)
        except StudentError as error:
            raise forms.ValidationError(str(error)) from error
        return student


class RetryForm(forms.Form):
    """One sample of a run, or none for all of them."""

    run_sample = forms.IntegerField(required=False, min_value=1)
    reason = forms.CharField(required=False, max_length=40)  # what the list is narrowed to
    only_reason = forms.CharField(required=False, max_length=40)  # retry what failed so, all of it


class EndpointForm(forms.Form):
    """A teacher. The service checks what only it knows; the limits stand beside the fields."""

    name = forms.CharField(max_length=120, help_text=gettext_lazy("As people choose it for a run."))
    base_url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=500,
        help_text=gettext_lazy(
            "Of an OpenAI-compatible server, up to and with the version: "
            "<code>http://gpu-1:8000/v1</code>"
        ),
        widget=forms.TextInput(attrs={"inputmode": "url", "autocapitalize": "none"}),
    )
    model = forms.CharField(
        max_length=200, help_text=gettext_lazy("The name that the server knows it by.")
    )
    api_key_variable = forms.CharField(
        label=gettext_lazy("Variable of the key"),
        max_length=120,
        required=False,
        help_text=gettext_lazy(
            "The name of the environment variable that holds the key on the teacher "
            "workers, such as <code>TEACHER_API_KEY</code>. Never the key itself."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
    )
    protocol = forms.ChoiceField(
        choices=Endpoint.Protocol.choices,
        initial=Endpoint.Protocol.TAGGED,
        help_text=gettext_lazy("Staged turns ask for one text at a time, which small models need."),
    )
    max_concurrency = forms.IntegerField(
        label=gettext_lazy("Requests at once"), initial=16, min_value=1, max_value=1000
    )
    max_tokens = forms.IntegerField(
        label=gettext_lazy("Longest reply"),
        initial=2048,
        min_value=16,
        help_text=gettext_lazy("In tokens."),
    )
    temperature = forms.FloatField(initial=0.7, min_value=0, max_value=2)
    timeout_seconds = forms.FloatField(
        label=gettext_lazy("Patience"),
        initial=120,
        min_value=1,
        max_value=3600,
        help_text=gettext_lazy("In seconds."),
    )
    price_prompt = forms.DecimalField(
        label=gettext_lazy("Price of the prompt"),
        initial=0,
        min_value=0,
        max_digits=10,
        decimal_places=4,
        help_text=gettext_lazy("For a million tokens."),
    )
    price_completion = forms.DecimalField(
        label=gettext_lazy("Price of the reply"),
        initial=0,
        min_value=0,
        max_digits=10,
        decimal_places=4,
        help_text=gettext_lazy("For a million tokens."),
    )


class StudentForm(forms.Form):
    """A student: a model that this server and the student workers can read."""

    name = forms.CharField(max_length=120, help_text=gettext_lazy("As people choose it for a run."))
    path = forms.CharField(
        label=gettext_lazy("Place"),
        max_length=500,
        help_text=gettext_lazy(
            "A model folder with safetensors, a .gguf file, or the id of a model that was "
            "downloaded before: <code>/models/my-student</code>. The student workers need it too."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    revision = forms.CharField(
        max_length=120,
        required=False,
        help_text=gettext_lazy("Only for the id of a downloaded model."),
    )
    template = forms.ChoiceField(
        choices=Student.Template.choices,
        initial=Student.Template.VICUNA,
        help_text=gettext_lazy(
            "The prompt that pairs are scored under. Take the one you will train with: for "
            "chats the model's own, which puts system prompt and earlier turns where they belong."
        ),
    )
    dtype = forms.ChoiceField(
        label=gettext_lazy("Precision"),
        choices=Student.Dtype.choices,
        initial=Student.Dtype.AUTO,
        help_text=gettext_lazy("“auto” takes the model's own."),
    )
    max_length = forms.IntegerField(
        label=gettext_lazy("Longest pair"),
        initial=2048,
        min_value=16,
        help_text=gettext_lazy("In tokens. What does not fit is reported as truncated."),
    )


def add_service_error(form: forms.Form, error: Exception, field: str | None = None) -> None:
    """Show what a service refused where the person can mend it."""
    target: Any = field if field in form.fields else None
    form.add_error(target, str(error))
