"""Read what export_project wrote: ``manage.py import_project FILE.zip``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from refinement.management.quick import QuickCommand
from refinement.services.archives import ArchiveError, import_project

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(QuickCommand):
    help = (
        "Read a project that export_project wrote, as a new project: all of it, or nothing. Runs "
        "that were under way are paused. People are found by their names; who is missing is made, "
        "switched off and without a password."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")

    def handle(self, *, file: str, **_: Any) -> None:
        try:
            project = import_project(Path(file))
        except ArchiveError as error:
            raise CommandError(f"{error} Nothing was imported.") from error
        except OSError as error:
            raise CommandError(f"Cannot read {file}: {error.strerror or error}.") from error
        self.stdout.write(f"Project {project.pk}: {project.name}")
