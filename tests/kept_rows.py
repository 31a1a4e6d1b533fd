"""Rows that are made once for a module of tests, where making them takes longer than the tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.core.management import call_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.plugin import DjangoDbBlocker


@contextmanager
def rows_kept(blocker: DjangoDbBlocker) -> Iterator[None]:
    """For a fixture of a module: what it makes in here stays until the module's last test.

    Its tests ask for ``db``, which takes back what each of them changed, and work with a deep copy
    of the objects.
    """
    with blocker.unblock():
        try:
            yield
        finally:
            quietly = {"verbosity": 0, "interactive": False, "inhibit_post_migrate": True}
            # As after each test with real transactions: no id comes again, which the words of
            # SQLite's search, a table that is not Django's, would take for the row before.
            call_command("flush", **quietly, reset_sequences=False)
