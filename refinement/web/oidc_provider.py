"""The OpenID Connect provider as django-allauth speaks to it, stricter where allauth is lenient.

allauth neither sends a nonce nor looks at the signature of an ID token that came over TLS. Here
every sign-in has its nonce, and the token's signature, issuer, audience and time are checked.
"""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import jwt
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.urls import reverse

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin, SocialToken
    from django.http import HttpRequest, HttpResponse

    from srt_web.oidc import Oidc

# None with a shared secret: who can read our environment must not be able to make identities.
ALGORITHMS = [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]
LEEWAY_SECONDS = 60  # between two clocks
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderAdapter(OpenIDConnectOAuth2Adapter):
    """Speaks to the provider: discovery, code for token, and what the token says."""

    @property
    def openid_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().openid_config
        issuer = str(config.get("issuer", "")).rstrip("/")
        if issuer != self.provider_id or not all(config.get(name) for name in ENDPOINTS):
            raise OAuth2Error("The discovery document is incomplete, or another issuer's.")
        return config

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return request.build_absolute_uri(reverse("oidc-callback"))

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        """A sign-in with its ``claims``: the token's, and where that has none, those of userinfo.

        Raises:
            OAuth2Error: there is no token that can be believed.
        """
        claims = self._claims(str(kwargs["response"].get("id_token") or ""), app.client_id)
        if "email" not in claims and self.openid_config.get("userinfo_endpoint"):
            more = self._fetch_user_info(token.token)
            if more.get("sub") != claims["sub"]:
                raise OAuth2Error("The userinfo endpoint spoke of somebody else.")
            claims = more | claims
        login = self.get_provider().sociallogin_from_response(request, {"id_token": claims})
        login.claims = claims
        return login

    def _claims(self, id_token: str, audience: str) -> dict[str, Any]:
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token,
                _key(id_token, answer.json()),
                algorithms=ALGORITHMS,
                audience=audience,
                issuer=self.openid_config["issuer"],
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"The ID token is not valid: {error}") from error
        return claims


def _key(id_token: str, jwks: dict[str, Any]) -> jwt.PyJWK:
    """The key that the token names; one that names none is signed with the only key."""
    keys = jwt.PyJWKSet.from_dict(jwks).keys
    name = jwt.get_unverified_header(id_token).get("kid")
    fitting = [key for key in keys if name is None or key.key_id == name]
    if len(fitting) != 1:
        raise jwt.InvalidKeyError("none of the provider's keys is the one that it names")
    return fitting[0]


class Provider(OpenIDConnectProvider):
    """Sends people to the provider, each with a nonce that their token must bring back."""

    oauth2_adapter_class = ProviderAdapter

    def redirect(
        self,
        request: HttpRequest,
        process: str,
        next_url: str | None = None,
        data: Any = None,
        **kwargs: Any,
    ) -> HttpResponse:
        nonce = token_urlsafe(24)
        response: HttpResponse = super().redirect(
            request, process, next_url, data, auth_params={"nonce": nonce}, nonce=nonce, **kwargs
        )
        return response

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Nothing of what the provider knows of a person is kept beside the account."""
        return {}


def provider_of(request: HttpRequest, oidc: Oidc) -> Provider:
    """The provider of the settings; accounts are kept under the issuer, as subjects are its own."""
    app = SocialApp(
        provider=Provider.id,
        provider_id=oidc.issuer,
        name=oidc.name,
        client_id=oidc.client_id,
        secret=oidc.client_secret,
        settings={"server_url": oidc.issuer, "oauth_pkce_enabled": True},
    )
    return Provider(request, app=app)
