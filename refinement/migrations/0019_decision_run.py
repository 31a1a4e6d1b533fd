import django.db.models.deletion
from django.db import migrations, models

FILL = (
    "UPDATE refinement_decision SET run_id = (SELECT rs.run_id FROM refinement_runsample rs "
    "WHERE rs.id = refinement_decision.run_sample_id)"
)


def fill(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        # Else the checks of the new keys would wait, and bar the change that follows.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    schema_editor.execute(FILL)


class Migration(migrations.Migration):
    dependencies = [("refinement", "0018_lease_ahead")]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="run",
            field=models.ForeignKey(
                null=True,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="refinement.run",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="decision",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="refinement.run",
            ),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["run", "id"], name="decisions_of_a_run"),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["run", "user", "id"], name="decisions_of_a_person"),
        ),
    ]
