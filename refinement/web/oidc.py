"""Signing in through an OpenID Connect provider. Without ``SRT_OIDC_ISSUER`` there is no such page.

None of django-allauth's own pages has an address. What it would decide on them, who may come in, is
decided by ``services.oidc``; what it would show is shown by one page that says why not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_GET
from requests import RequestException

from refinement.services import oidc as services
from refinement.services.oidc import Identity, SignInRefusedError
from refinement.web.oidc_provider import Provider, ProviderAdapter, provider_of

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin
    from django.http import HttpRequest, HttpResponse

    from srt_web.oidc import Oidc

logger = logging.getLogger(__name__)


class SignInAdapter(DefaultSocialAccountAdapter):
    """What django-allauth asks on its way (``SOCIALACCOUNT_ADAPTER``)."""

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> Provider:
        return provider_of(request, _oidc())

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """The token is good. Everything that allauth would do from here on is done here."""
        claims = sociallogin.claims
        if claims.get("nonce") != sociallogin.state.get("nonce"):
            raise ImmediateHttpResponse(_not_valid(request, "another sign-in's nonce"))
        identity = identity_of(claims)
        try:
            user = services.person_of(identity, oidc=_oidc())
        except SignInRefusedError as error:
            services.refused(identity, error.reason)
            raise ImmediateHttpResponse(_refusal(request, str(error))) from error
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        raise ImmediateHttpResponse(redirect(sociallogin.state.get("next") or "home"))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Provider,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        if error == AuthError.CANCELLED:
            raise ImmediateHttpResponse(redirect("login"))
        raise ImmediateHttpResponse(_not_valid(request, exception or "no sign-in was begun here"))


def identity_of(claims: dict[str, Any]) -> Identity:
    """Whom the token is about. An address that the provider has not verified is none."""
    verified = str(claims.get("email_verified")).lower() == "true"  # some send it as a text
    return Identity(
        subject=str(claims["sub"]),
        email=str(claims.get("email") or "").strip() if verified else "",
        first_name=str(claims.get("given_name") or ""),
        last_name=str(claims.get("family_name") or ""),
    )


@login_not_required
@require_GET
def begin(request: HttpRequest) -> HttpResponse:
    """To the provider. A link, as the content security policy lets no form lead elsewhere."""
    oidc = _oidc()
    if request.user.is_authenticated:
        return redirect("home")
    wanted = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        wanted = ""
    try:
        return provider_of(request, oidc).redirect(request, AuthProcess.LOGIN, next_url=wanted)
    except (OAuth2Error, RequestException) as error:
        logger.warning("The OpenID Connect provider does not answer as it should: %s", error)
        sentence = gettext("%(provider)s cannot be reached just now. Try again in a minute.")
        return _refusal(request, sentence % {"provider": oidc.name}, status=502)


@login_not_required
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Back from the provider, with a code for a token, or with the reason why not."""
    adapter = ProviderAdapter(request, _oidc().issuer)
    answer: HttpResponse = OAuth2CallbackView.adapter_view(adapter)(request)
    return answer


def _oidc() -> Oidc:
    """Raises Http404 where the environment names no provider."""
    if settings.OIDC is None:
        raise Http404
    return settings.OIDC


def _not_valid(request: HttpRequest, why: object) -> HttpResponse:
    logger.warning("A sign-in by OpenID Connect was refused: %s", why)
    services.refused(None, "not_valid")
    sentence = gettext(
        "What %(provider)s answered is not valid for the sign-in that you began. Begin again."
    )
    return _refusal(request, sentence % {"provider": _oidc().name})


def _refusal(request: HttpRequest, sentence: str, *, status: int = 403) -> HttpResponse:
    return render(request, "accounts/not_let_in.html", {"sentence": sentence}, status=status)


urlpatterns = [
    path("login/oidc", begin, name="oidc"),
    path("login/oidc/callback", callback, name="oidc-callback"),
]
