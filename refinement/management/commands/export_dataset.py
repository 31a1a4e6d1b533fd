"""Export what a run selects: ``manage.py export_dataset --run ID -o OUT.jsonl``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from refinement.models import Run
from refinement.services.errors import ServiceError
from refinement.services.exports import export_to_path

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    help = "Export the selected pairs of a run as JSON Lines, with a manifest beside the file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", type=int, required=True, metavar="ID")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.jsonl")
        parser.add_argument("--with-scores", action="store_true", help="add the field “srt”")
        parser.add_argument("--all", action="store_true", help="also what was not kept")

    def handle(self, **options: Any) -> None:
        path: Path = options["output"]
        run = Run.objects.select_related("dataset", "student").filter(pk=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        try:
            manifest = export_to_path(
                run=run,
                path=path,
                options={
                    "include": "all" if options["all"] else "kept",
                    "with_scores": options["with_scores"],
                },
            )
            beside = path.with_name(f"{path.name.removesuffix('.jsonl')}.manifest.json")
            beside.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
        except ServiceError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Cannot write the manifest: {error.strerror}.") from error
        counts = manifest["counts"]
        self.stdout.write(
            f"{path}: {manifest['file']['rows']:,} rows ({counts['kept']:,} of {counts['total']:,} "
            f"pairs kept, {counts['failed']:,} failed, {counts['unfinished']:,} unfinished)\n"
            f"{beside}: how it came about"
        )
