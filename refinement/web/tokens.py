"""A person's API tokens: made, shown once, revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from refinement.models import ApiToken, Project
from refinement.selectors.access import NoAccess
from refinement.services import tokens as services
from refinement.services.errors import ServiceError
from refinement.web.forms import add_service_error

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.models import User
    from refinement.web.http import Request

if TYPE_CHECKING:  # Django's own class takes no parameter at run time
    _ProjectField = forms.ModelChoiceField[Project]
else:
    _ProjectField = forms.ModelChoiceField


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        help_text=gettext_lazy("What it is for, such as “nightly export”."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    project = _ProjectField(
        queryset=Project.objects.none(),
        required=False,
        empty_label=gettext_lazy("All of yours"),
        help_text=gettext_lazy("A token of one project opens no other."),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Lives for"),
        initial=90,
        min_value=1,
        max_value=services.LONGEST_DAYS,
        help_text=gettext_lazy("In days."),
    )
    scopes = forms.MultipleChoiceField(
        choices=ApiToken.Scope.choices, widget=forms.CheckboxSelectMultiple, initial=["read"]
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field, scopes = self.fields["project"], self.fields["scopes"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        assert isinstance(scopes, forms.MultipleChoiceField)  # noqa: S101
        field.queryset = Project.objects.filter(memberships__user=user)
        if not user.is_staff:
            scopes.choices = [c for c in ApiToken.Scope.choices if c[0] != ApiToken.Scope.ADMIN]


@sensitive_variables("text", "made")
@never_cache
@require_http_methods(["GET", "POST"])
def index(request: Request) -> HttpResponse:
    form = TokenForm(request.POST or None, user=request.user)
    made = ""
    if request.method == "POST" and form.is_valid():
        try:
            _, made = services.make_token(user=request.user, **form.cleaned_data)
        except ServiceError as error:
            add_service_error(form, error)
        else:
            form = TokenForm(user=request.user)
    context = {
        "form": form,
        "made": made,
        "now": timezone.now(),
        "tokens": ApiToken.objects.filter(user=request.user).select_related("project"),
    }
    return render(request, "accounts/tokens.html", context, status=422 if form.errors else 200)


@require_POST
def revoke(request: Request, token_id: int) -> HttpResponse:
    token = ApiToken.objects.filter(user=request.user, pk=token_id).first()
    if token is None:
        raise NoAccess(gettext("No such token."))
    services.revoke_token(token=token)
    messages.success(request, gettext("“%(name)s” opens nothing any more.") % {"name": token.name})
    return redirect("tokens")


urlpatterns = [
    path("account/tokens", index, name="tokens"),
    path("account/tokens/<int:token_id>/revoke", revoke, name="token-revoke"),
]
