"""Import a file or a dataset folder into a project, without a worker."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.files import File
from django.core.management.base import CommandError

from refinement.formats.errors import FormatError
from refinement.formats.folders import data_files, write_as_one
from refinement.formats.shapes import FORMATS
from refinement.management.quick import QuickCommand
from refinement.models import Dataset, Project
from refinement.selectors.datasets import rejected_lines
from refinement.services.datasets import OPTIONS, create_dataset, import_dataset, start_import
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

SHOWN = 5  # rejected rows


class Command(QuickCommand):
    help = (
        "Import instruction data into a project: JSON, JSON Lines, CSV, Parquet or Arrow, also as "
        ".gz or .zst, or a Hugging Face dataset folder."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file, or a dataset folder")
        parser.add_argument("--project", required=True, metavar="NAME", help="name or number")
        parser.add_argument("--name", default="", help="of the dataset (default: the file's)")
        parser.add_argument("--format", choices=list(FORMATS), default="", help="default: as found")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="OURS=THEIRS",
            help="which field is what, such as output=instances[0].output; needs --format",
        )
        parser.add_argument("--split", default="", help="of a dataset folder (default: train)")
        for name, values in OPTIONS.items():
            parser.add_argument(f"--{name}", choices=values, default=values[0])
        parser.add_argument("--dry-run", action="store_true", help="tell, but take nothing in")
        parser.add_argument("--rejected", type=Path, metavar="FILE", help="write refused records")

    def handle(self, **options: Any) -> None:
        project = find_project(options["project"])
        dataset = self._import(options["file"], project, options)
        if options["rejected"]:
            with options["rejected"].open("w", encoding="utf-8") as file:
                file.writelines(rejected_lines(dataset))
        if dataset.status == Dataset.Status.FAILED:
            self._print_rejected(dataset)
            raise CommandError(dataset.error)
        if dataset.status in {Dataset.Status.PENDING, Dataset.Status.IMPORTING}:
            self.stdout.write(f"Dataset {dataset.pk} “{dataset.name}” is read by a worker.")
            return
        self._print_outcome(dataset)
        self._print_rejected(dataset)

    def _import(self, path: Path, project: Project, options: dict[str, Any]) -> Dataset:
        try:
            with ExitStack() as stack:
                source = _as_file(path, options["split"], stack)
                # This process is its own worker: the wake-up of the new dataset comes back to it.
                stack.enter_context(
                    delivered_to(lambda _, dataset_id: import_dataset(dataset_id=dataset_id))
                )
                dataset = create_dataset(
                    project=project,
                    name=options["name"],
                    upload=File(stack.enter_context(source.open("rb"))),
                    filename=path.resolve().name,
                    user=None,
                    draft=True,
                )
                self._start(dataset, options)
        except OSError as error:
            raise CommandError(f"Cannot read {path}: {error.strerror}.") from error
        except (ServiceError, FormatError) as error:
            raise CommandError(str(error)) from error
        dataset.refresh_from_db()
        return dataset

    def _start(self, dataset: Dataset, options: dict[str, Any]) -> None:
        try:
            start_import(
                dataset=dataset,
                format=options["format"],
                mapping=_mapping(options["map"]),
                options={name: options[name] for name in OPTIONS},
                dry_run=options["dry_run"],
            )
        except ServiceError:
            dataset.file.delete(save=False)
            dataset.delete()
            raise

    def _print_outcome(self, dataset: Dataset) -> None:
        done = "would be imported" if dataset.status == Dataset.Status.DRAFT else "imported"
        more = "".join(
            f", {count:,} {what}"
            for count, what in (
                (dataset.kept_count, "kept as they are"),
                (dataset.skipped_count, "duplicates skipped"),
            )
            if count
        )
        self.stdout.write(
            f"Dataset {dataset.pk} “{dataset.name}”: {dataset.sample_count:,} {done}, "
            f"{dataset.rejected_count:,} rejected{more}."
        )
        if dataset.status == Dataset.Status.DRAFT:
            self.stdout.write(json.dumps(dataset.profile, ensure_ascii=False, indent=1))

    def _print_rejected(self, dataset: Dataset) -> None:
        for row in dataset.rejected_rows.all()[:SHOWN]:
            self.stderr.write(f"  line {row.line}: {row.reason}: {row.excerpt[:80]}")
        if dataset.rejected_count > SHOWN:
            self.stderr.write(f"  … and {dataset.rejected_count - SHOWN:,} more")


def _as_file(path: Path, split: str, stack: ExitStack) -> Path:
    """A folder is put together in a temporary file. Raises FormatError."""
    if not path.is_dir():
        return path
    target = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "dataset"
    write_as_one(data_files(path, split), target)
    return target


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals:
            raise CommandError(f"--map wants OURS=THEIRS, not {pair!r}.")
        mapping[ours.strip()] = theirs.strip()
    return mapping


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
