"""Signing in and out, the password, and the light of the screen."""

from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView, LogoutView
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language
from django_htmx.http import HttpResponseClientRefresh

from refinement.services import accounts as services
from refinement.services import audit
from refinement.templatetags.refinement_ui import THEME_COOKIE, THEMES
from refinement.web.http import Request
from srt_web.client_address import client_address

YEAR = 365 * 24 * 3600
MOST_FAILURES_OF_AN_ADDRESS = 50  # wrong passwords within the pause: an office has many people


@method_decorator(login_not_required, name="dispatch")
class Login(LoginView):
    """A poll of a page whose session ended lands here too: it makes that page load anew."""

    template_name = "accounts/login.html"
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.headers.get("HX-Request") == "true":
            return HttpResponseClientRefresh()
        if request.method == "POST" and _address_guesses(request):
            return locked_out(request)
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(oidc=settings.OIDC, **kwargs)


def _address_guesses(request: HttpRequest) -> bool:
    """Whether one address tried too many names: django-axes only counts each name by itself."""
    address = client_address(request)
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    tries = AccessAttempt.objects.filter(ip_address=address, attempt_time__gte=since)
    failures = tries.aggregate(all=Sum("failures_since_start"))["all"] or 0
    return bool(failures >= MOST_FAILURES_OF_AN_ADDRESS)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def account(request: Request) -> HttpResponse:
    form = PasswordChangeForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, form.user)
        audit.record("account.password", form.user)
        messages.success(
            request, gettext("Your password is changed. Other devices are signed out.")
        )
        return redirect("account")
    status = 422 if form.errors else 200
    return render(request, "accounts/account.html", {"form": form}, status=status)


@require_POST
def sign_out_everywhere(request: Request) -> HttpResponse:
    """End every session of this person but the one at hand."""
    services.end_sign_ins(user=request.user)
    update_session_auth_hash(request, request.user)
    messages.success(request, gettext("Every other browser and device is signed out."))
    return redirect("account")


def locked_out(request: HttpRequest, *_: object) -> HttpResponse:
    """What django-axes answers after too many wrong passwords."""
    minutes = round(settings.AXES_COOLOFF_TIME.total_seconds() / 60)
    return render(request, "accounts/locked_out.html", {"minutes": minutes}, status=429)


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or (anything else) the system's choice in a cookie."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        back = "home"
    response = redirect(back)
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(
            THEME_COOKIE, chosen, max_age=YEAR, samesite="Lax", secure=settings.HTTPS
        )
    else:
        response.delete_cookie(THEME_COOKIE, samesite="Lax")
    return response


urlpatterns = [
    path("login", Login.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("account", account, name="account"),
    path("account/sign-out-everywhere", sign_out_everywhere, name="sign-out-everywhere"),
    path("theme", theme, name="theme"),
    path("language", require_POST(login_not_required(set_language)), name="language"),
]
