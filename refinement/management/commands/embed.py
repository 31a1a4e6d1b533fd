"""Measure coherence and subjects of a run: ``manage.py embed --run ID --encoder FOLDER``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from refinement.management.quick import QuickCommand
from refinement.method.errors import StudentError
from refinement.models import Run
from refinement.services import policies

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(QuickCommand):
    help = (
        "Encode every scored pair of a run with a sentence-embedding model, so that the what-if "
        "can show the policy “coherence”, and the best pairs can be spread over the subjects."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", type=int, required=True, metavar="ID")
        parser.add_argument("--encoder", type=Path, required=True, metavar="FOLDER")

    def handle(self, **options: Any) -> None:
        from refinement.pipeline.embedding import embed  # here, as it brings torch

        run = Run.objects.filter(pk=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        encoder = str(options["encoder"].resolve())
        count = policies.not_embedded(run, encoder).count()
        try:
            embed(run, encoder, stopping=threading.Event())
        except StudentError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Run {run.pk}: {count:,} pairs measured by {options['encoder'].name}.")
