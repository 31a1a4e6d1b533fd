"""Commands that begin at once."""

from __future__ import annotations

from django.core.management.base import BaseCommand


class QuickCommand(BaseCommand):
    """Without Django's checks, which load every page of the web; tests and ``migrate`` run them."""

    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own shape
