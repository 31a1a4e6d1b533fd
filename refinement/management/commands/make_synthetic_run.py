"""A run of any size with made-up pairs: ``manage.py make_synthetic_run --samples 1000000``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import connection, transaction

from refinement.management.quick import QuickCommand
from refinement.management.synthetic import fill_run
from refinement.method.specs import PolicySpec
from refinement.models import Dataset, Membership, Project, Run, User
from refinement.services.models_registry import embedded_student, embedded_teacher
from refinement.services.starting import run_config

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(QuickCommand):
    help = (
        "Make a project with a dataset and a finished run of made-up pairs, scores, verdicts and "
        "some decisions: to try the product, or measure it, at any size."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--samples", type=int, required=True, metavar="N")
        parser.add_argument("--seed", type=int, default=1, help="the same seed, the same pairs")
        parser.add_argument("--people", type=int, default=4, help="reviewers who decided some")
        parser.add_argument("--owner", default="", metavar="USERNAME", help="sees the project")

    def handle(self, **options: Any) -> None:
        count, people = options["samples"], options["people"]
        if not 1 <= count <= 20_000_000:
            raise CommandError("--samples takes a number from 1 to 20,000,000.")
        if not 1 <= people <= 1000:
            raise CommandError("--people takes a number from 1 to 1,000.")
        began = time.monotonic()
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:  # indexes are filled in no order: keep them at hand
                cursor.execute("PRAGMA cache_size = -400000")
        with transaction.atomic():
            run, reviewers = self._make(count, people, options["seed"])
            if options["owner"]:
                self._admit(run.project, options["owner"])

            def report(done: int) -> None:
                if options["verbosity"] > 1 or done == count:
                    self.stderr.write(f"{done:,} pairs, {time.monotonic() - began:.0f} s")

            fill_run(run, reviewers, count=count, seed=options["seed"], report=report)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # planners choose by what they know of the tables
        self.stdout.write(
            f"Run {run.pk} of project {run.project_id}: {count:,} made-up pairs in "
            f"{time.monotonic() - began:.0f} s. Review it at /runs/{run.pk}/review."
        )

    def _make(self, count: int, people: int, seed: int) -> tuple[Run, list[User]]:
        project = Project.objects.create(name=f"Synthetic {count:,}")
        reviewers = []
        for number in range(1, people + 1):
            name = f"synthetic-{project.pk}-{number}"
            user = User(username=name)
            user.set_unusable_password()
            user.save()
            Membership.objects.create(project=project, user=user, role=Membership.Role.REVIEWER)
            reviewers.append(user)
        dataset = Dataset.objects.create(
            project=project,
            name=f"{count:,} made-up pairs",
            filename="synthetic.jsonl",
            format="alpaca",
            status=Dataset.Status.READY,
            sample_count=count,
            sha256=f"{seed:064x}",
        )
        teacher, student = embedded_teacher(), embedded_student()
        run = Run.objects.create(
            project=project,
            dataset=dataset,
            teacher=teacher,
            student=student,
            name=f"Synthetic, seed {seed}",
            config=run_config(teacher=teacher, student=student, policy=PolicySpec()),
            student_fingerprint="0" * 64,
        )
        return run, reviewers

    def _admit(self, project: Project, username: str) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user “{username}”.")
        Membership.objects.create(project=project, user=user, role=Membership.Role.OWNER)
