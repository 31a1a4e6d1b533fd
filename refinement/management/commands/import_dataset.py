"""Import a file into a project, without a worker: ``manage.py import_dataset FILE --project P``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.files import File
from django.core.management.base import BaseCommand, CommandError

from refinement.models import Dataset, Project
from refinement.services.datasets import create_dataset, import_dataset
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

SHOWN = 5  # rejected rows


class Command(BaseCommand):
    help = "Import an Alpaca JSON array or JSON Lines file into a project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", required=True, metavar="NAME", help="name or number")
        parser.add_argument("--name", default="", help="of the dataset (default: the file's)")

    def handle(self, **options: Any) -> None:
        dataset = self._import(options["file"], find_project(options["project"]), options["name"])
        if dataset.status == Dataset.Status.FAILED:
            self._print_rejected(dataset)
            raise CommandError(dataset.error)
        if dataset.status != Dataset.Status.READY:  # a worker was quicker
            self.stdout.write(f"Dataset {dataset.pk} “{dataset.name}” is imported by a worker.")
            return
        self.stdout.write(
            f"Dataset {dataset.pk} “{dataset.name}”: {dataset.sample_count:,} imported, "
            f"{dataset.rejected_count:,} rejected."
        )
        self._print_rejected(dataset)

    def _import(self, path: Path, project: Project, name: str) -> Dataset:
        try:
            # This process is its own worker: the wake-up of the new dataset comes back to it.
            with (
                path.open("rb") as file,
                delivered_to(lambda _, dataset_id: import_dataset(dataset_id=dataset_id)),
            ):
                dataset = create_dataset(
                    project=project, name=name, upload=File(file), filename=path.name, user=None
                )
        except OSError as error:
            raise CommandError(f"Cannot read {path}: {error.strerror}.") from error
        except ServiceError as error:
            raise CommandError(str(error)) from error
        dataset.refresh_from_db()
        return dataset

    def _print_rejected(self, dataset: Dataset) -> None:
        for row in dataset.rejected_rows.all()[:SHOWN]:
            self.stderr.write(f"  line {row.line}: {row.reason}: {row.excerpt[:80]}")
        if dataset.rejected_count > SHOWN:
            self.stderr.write(f"  … and {dataset.rejected_count - SHOWN:,} more")


def find_project(name: str) -> Project:
    """A project by name, or by number where the name is not unique. Raises CommandError."""
    found = list(Project.objects.filter(name=name)[:2])
    if not found and name.isdecimal():
        found = list(Project.objects.filter(pk=int(name)))
    if not found:
        names = ", ".join(f"“{known}”" for known in Project.objects.values_list("name", flat=True))
        raise CommandError(f"There is no project “{name}”. There are: {names or 'none yet'}.")
    if len(found) > 1:
        numbers = ", ".join(
            str(pk) for pk in Project.objects.filter(name=name).values_list("pk", flat=True)
        )
        raise CommandError(f"Several projects are called “{name}”: give a number ({numbers}).")
    return found[0]
