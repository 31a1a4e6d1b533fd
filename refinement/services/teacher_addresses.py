"""Which addresses teachers may have here: what the settings allow, and the embedded one."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext

from refinement.method.addresses import AddressRefusedError, AddressRule, parse_networks
from refinement.services.errors import ServiceError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_trusted: set[tuple[str, int]] = set()


def address_rule() -> AddressRule:
    """Read from the settings at each use: tests and commands change them."""
    exact = {_place(settings.EMBEDDED_TEACHER_URL), *_trusted}
    return AddressRule(
        networks=parse_networks(settings.TEACHER_NETWORKS),
        exact=frozenset(place for place in exact if place is not None),
    )


def trust(base_url: str) -> None:
    """Allow this address in this process: whoever typed it at a command line can reach it."""
    place = _place(base_url)
    if place is not None:
        _trusted.add(place)


def refuse_private(base_url: str) -> None:
    """Raises ServiceError for a teacher at an address that this service does not ask."""
    place = _place(base_url)
    if place is None:
        return
    try:
        address_rule().refuse(*place)
    except AddressRefusedError as error:
        raise ServiceError(
            gettext("This URL is not allowed: %(error)s") % {"error": error}
        ) from error


def _place(base_url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(base_url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None
