"""The first tables: phonobase's, in the same transaction, and then those that point at them."""

import uuid
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from phonobase import session_on
from phonobase.store import schema


def upgrade_phonobase(_apps: Any, editor: Any) -> None:  # noqa: ANN401 - Django's
    """Bring phonobase's tables up to date; after an upgrade of phonobase another migration does it again."""
    with session_on(editor.connection.connection) as session:
        schema.upgrade(session.connection())


class Migration(migrations.Migration):
    """Django's shape of it."""

    initial = True
    operations = (
        migrations.RunPython(upgrade_phonobase, migrations.RunPython.noop),
        migrations.CreateModel(
            name="Recording",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("source", models.TextField()),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField()),
                ("state", models.TextField()),
            ],
            options={"db_table": "phono_recording", "managed": False},
        ),
        migrations.CreateModel(
            name="Case",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject", models.CharField(max_length=200, unique=True)),
                (
                    "call",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="django_cases.recording"
                    ),
                ),
            ],
        ),
    )
