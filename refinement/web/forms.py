"""What people type, checked. A form tells what is wrong beside the field."""

from typing import Any

from django import forms

from refinement.models import Membership, User


class ProjectForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        help_text="What the data is for. Everybody in the project sees it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Membership.Role)


class MemberForm(forms.Form):
    """Somebody who has an account, and what they may do."""

    username = forms.CharField(
        max_length=150,
        help_text="The name they sign in with.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    role = forms.ChoiceField(choices=Membership.Role, initial=Membership.Role.REVIEWER)

    def clean_username(self) -> User:
        username = self.cleaned_data["username"].strip()
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise forms.ValidationError(
                f"Nobody signs in as “{username}”. Check the spelling, or ask staff for an account."
            )
        return user


def add_service_error(form: forms.Form, error: Exception, field: str | None = None) -> None:
    """Show what a service refused where the person can mend it."""
    target: Any = field if field in form.fields else None
    form.add_error(target, str(error))
