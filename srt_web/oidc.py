"""What the environment says of a sign-in through an OpenID Connect provider."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Oidc:
    """``domains`` of e-mail addresses that may come in, empty for all; ``sign_up``: new people."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    domains: tuple[str, ...] = ()
    sign_up: bool = False


def oidc_settings(
    *, issuer: str, client_id: str, client_secret: str, name: str, domains: list[str], sign_up: bool
) -> Oidc | None:
    """``None`` where nothing is set.

    Raises:
        ImproperlyConfigured: a part is missing, or the provider would be spoken to in the clear.
    """
    given = {
        "SRT_OIDC_ISSUER": issuer,
        "SRT_OIDC_CLIENT_ID": client_id,
        "SRT_OIDC_CLIENT_SECRET": client_secret,
    }
    missing = [variable for variable, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise ImproperlyConfigured(f"Sign-in by OpenID Connect also needs {' and '.join(missing)}.")
    parts = urlsplit(issuer)
    host = parts.hostname or ""
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        raise ImproperlyConfigured(
            "SRT_OIDC_ISSUER must begin with https://, as what it says is believed."
        )
    return Oidc(
        issuer=issuer.rstrip("/"),
        client_id=client_id,
        client_secret=client_secret,
        name=name or host,
        domains=tuple(domain.strip().lower().removeprefix("@") for domain in domains),
        sign_up=sign_up,
    )


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
