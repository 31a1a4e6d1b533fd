"""A database with triggers is migrated: SQLite makes the tables anew that they speak of."""

from __future__ import annotations

import pytest
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader

from refinement.readmodel.install import _present

pytestmark = pytest.mark.django_db(transaction=True)


class _Migration(migrations.Migration):
    operations = (
        migrations.AlterField("decision", "action", models.CharField(max_length=30)),
        migrations.AlterField("decision", "action", models.CharField(max_length=10)),
    )


def _migrate() -> None:
    """As the command does, without the record that it leaves."""
    migration = _Migration("later", "refinement")
    signal = {"verbosity": 0, "interactive": False, "db": connection.alias}
    emit_pre_migrate_signal(plan=[(migration, False)], **signal)
    with connection.schema_editor() as editor:
        migration.apply(MigrationLoader(connection).project_state(), editor)
    emit_post_migrate_signal(plan=[(migration, False)], **signal)


def test_a_table_of_the_triggers_can_be_changed() -> None:
    names = _present(connection)
    assert names
    _migrate()
    assert _present(connection) == names
