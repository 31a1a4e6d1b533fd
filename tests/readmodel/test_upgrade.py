"""A database with triggers is migrated: SQLite makes the tables anew that they speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.db import connection

from refinement.readmodel.install import _present

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def latest() -> Iterator[None]:
    """Whatever happens, the next test meets a whole database."""
    yield
    call_command("migrate", verbosity=0)


def test_a_table_of_the_triggers_can_be_changed(latest: None) -> None:
    names = _present(connection)
    assert names
    call_command("migrate", "refinement", "0018", verbosity=0)
    call_command("migrate", "refinement", verbosity=0)
    assert _present(connection) == names
