"""The address that a request came from, told by proxies that can be trusted."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """An IP address; ``None`` where none is known.

    Each of ``settings.TRUSTED_PROXIES`` appends one entry to X-Forwarded-For, so the client is that
    many from the right. What stands further left was written by the client itself.
    """
    entries = [request.META.get("REMOTE_ADDR", "")]
    if settings.TRUSTED_PROXIES:
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        entries = [*(entry.strip() for entry in forwarded if entry.strip()), *entries]
    chosen = entries[max(-1 - settings.TRUSTED_PROXIES, -len(entries))]
    try:
        return str(ip_address(chosen))
    except ValueError:  # a socket of this machine, or a header that somebody made up
        return None
