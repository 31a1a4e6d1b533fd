"""Write a project into one file: ``manage.py export_project ID|NAME -o FILE.zip``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from refinement.management.quick import QuickCommand
from refinement.models import Project
from refinement.services.archives import export_project

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(QuickCommand):
    help = (
        "Write a project with its datasets, runs, replies, scores, verdicts and decisions into one "
        "file, which import_project reads here or elsewhere. Others may go on working meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="its number or its name")
        parser.add_argument("-o", "--output", required=True, metavar="FILE.zip")

    def handle(self, *, project: str, output: str, **_: Any) -> None:
        try:
            counts = export_project(_project(project), Path(output))
        except OSError as error:
            raise CommandError(f"Cannot write {output}: {error.strerror or error}.") from error
        told = {name: count for name, count in counts.items() if count}
        self.stdout.write(
            f"Wrote {output}: {told.get('run', 0):,} runs, {told.get('sample', 0):,} samples, "
            f"{told.get('teachercall', 0):,} replies, {told.get('decision', 0):,} decisions."
        )


def _project(text: str) -> Project:
    """By number, else by name. Raises CommandError."""
    if text.isdecimal() and (by_number := Project.objects.filter(pk=int(text)).first()):
        return by_number
    named = list(Project.objects.filter(name=text)[:2])
    if len(named) == 1:
        return named[0]
    if named:
        raise CommandError(f"Several projects are called “{text}”: give its number instead.")
    raise CommandError(f"There is no project “{text}”.")
