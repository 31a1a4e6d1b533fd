from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [
        ("refinement", "0020_token_wish"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="priority",
            field=models.CharField(
                choices=[("low", "Low"), ("normal", "Normal"), ("high", "High")],
                db_default="normal",
                default="normal",
                max_length=6,
            ),
        ),
    ]
