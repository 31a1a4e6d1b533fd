"""``manage.py refine IN -o OUT.jsonl``: the whole method on one file, without a broker.

The work is kept in the database as it is done, so the command may be killed at any moment: the
same command goes on where it stood, and pays for nothing twice.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.teacher_server import running_teacher_server, teacher_answers
from refinement.formats.registry import FORMATS, FormatError, detect
from refinement.management import refine_setup as setup
from refinement.management.policy_options import add_policy_options, policy_of
from refinement.management.progress import ProgressLine, summary_table
from refinement.management.quick import QuickCommand
from refinement.management.stopping import terminated_as_interrupted
from refinement.method.errors import MethodError
from refinement.models import Endpoint, Run, Student
from refinement.selectors.runs import run_progress, run_summary
from refinement.services import runs
from refinement.services.dispatch import delivered_to
from refinement.services.errors import ServiceError
from refinement.services.rounds import take_selection
from refinement.services.self_improvement import teacher_that_is

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from refinement.models import Dataset

USAGE = 2  # exit code where what was asked for cannot be: nothing was begun
INTERRUPTED = 130
LOOK_SECONDS = 0.5
TEACHER_LIMITS = {  # our options and the endpoint's fields
    "concurrency": "max_concurrency",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
}


class Command(QuickCommand):
    help = "Refine a file: a teacher rewrites each pair, the student chooses, OUT gets the kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("input", type=Path, metavar="IN", help="a file of instruction pairs")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.jsonl")
        parser.add_argument("--format", choices=sorted(FORMATS), help="of IN (default: as found)")
        parser.add_argument("--limit", type=int, metavar="N", help="the first N samples alone")
        teacher = parser.add_argument_group("teacher")
        teacher.add_argument(
            "--teacher",
            default=setup.EMBEDDED,
            metavar="embedded|student|URL",
            help="student: the registered teacher that serves the student's own model",
        )
        teacher.add_argument("--teacher-model", default="", metavar="NAME")
        teacher.add_argument(
            "--teacher-key-variable",
            metavar="NAME",
            help="the environment variable that holds the key",
        )
        teacher.add_argument("--protocol", choices=Endpoint.Protocol.values, default="")
        teacher.add_argument("--concurrency", type=int, metavar="N", help="requests at a time")
        teacher.add_argument("--max-tokens", type=int, metavar="N", help="of one reply")
        teacher.add_argument("--temperature", type=float)
        teacher.add_argument(
            "--budget-tokens", type=int, metavar="N", help="of one round; the run pauses before"
        )
        teacher.add_argument(
            "--budget-cost", type=Decimal, metavar="AMOUNT", help="of one round, in your prices"
        )
        student = parser.add_argument_group("student")
        student.add_argument("--student", default=setup.EMBEDDED, metavar="embedded|PATH")
        student.add_argument(
            "--template", choices=Student.Template.values, default=Student.Template.VICUNA
        )
        add_policy_options(parser)
        parser.add_argument(
            "--rounds",
            type=int,
            default=1,
            metavar="N",
            help="refine what one round kept again, N times in all; OUT gets the last selection",
        )
        parser.add_argument(
            "--retry-failed", action="store_true", help="ask again for what failed before"
        )

    def handle(self, **options: Any) -> None:
        self.line = ProgressLine(self.stderr)
        if options["verbosity"] < 2:  # the progress line says it all
            logging.getLogger("refinement").setLevel(logging.WARNING)
        try:
            # Wake-ups are for no broker: they come back to this process, or are not needed.
            with terminated_as_interrupted(), delivered_to(lambda *_: None):
                self._check_files(options)
                self._prepare_database()
                run = self._refine(options)
            call_command("export_dataset", run=run.pk, output=options["output"], stdout=self.stdout)
        except (ServiceError, EmbeddedError, MethodError) as error:
            raise CommandError(str(error)) from error
        except FormatError as error:
            raise CommandError(f"{options['input']}: {error}") from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error
        except DatabaseError as error:
            raise CommandError(f"The database does not take it: {error}") from error
        except KeyboardInterrupt:
            self.line.say("Stopped. The same command goes on from here.")
            raise SystemExit(INTERRUPTED) from None
        finally:
            self.line.end()
        self.stdout.write(summary_table(run_summary(run)))

    # -- Before the work -----------------------------------------------------------------------
    def _check_files(self, options: dict[str, Any]) -> None:
        source, target = options["input"], options["output"].resolve()
        if not source.is_file():
            raise CommandError(f"There is no file {source}.", returncode=USAGE)
        if not target.parent.is_dir() or target.is_dir():
            raise CommandError(f"{target} is not a file in a folder.", returncode=USAGE)
        if target == source.resolve():
            raise CommandError("IN and OUT are the same file: name another OUT.", returncode=USAGE)
        for name in ("limit", "rounds"):
            if options[name] is not None and options[name] < 1:
                raise CommandError(f"--{name} takes a number above 0.", returncode=USAGE)
        self._check_teacher_options(options)
        found, _ = detect(source, record_limit=settings.RECORD_LIMIT_BYTES)
        if options["format"] and found != options["format"]:
            raise CommandError(
                f"{source} is in the format {found}, not {options['format']}.", returncode=USAGE
            )

    def _check_teacher_options(self, options: dict[str, Any]) -> None:
        if options["teacher"] not in {setup.EMBEDDED, setup.STUDENT}:
            if not options["teacher_model"]:
                raise CommandError(
                    "Name the teacher's model: --teacher-model NAME.", returncode=USAGE
                )
            return
        for name in ("teacher_model", "teacher_key_variable", *TEACHER_LIMITS):
            if options[name]:
                raise CommandError(
                    f"--{name.replace('_', '-')} goes with --teacher URL: a registered teacher "
                    "has its own.",
                    returncode=USAGE,
                )

    def _prepare_database(self) -> None:
        """The embedded database is made and brought up to date; any other is its admin's."""
        if connection.vendor == "sqlite":
            call_command("migrate", interactive=False, verbosity=0)
            return
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not up to date: run `manage.py migrate` first.")

    # -- The work ------------------------------------------------------------------------------
    def _refine(self, options: dict[str, Any]) -> Run:
        project = setup.command_line_project()
        student = setup.find_student(path=options["student"])
        teacher = self._teacher(options, student)
        dataset = setup.find_dataset(project=project, path=options["input"])
        run = self._round(dataset, teacher, student, options, limit=options["limit"])
        for number in range(2, options["rounds"] + 1):
            dataset = take_selection(run=run, user=None)
            self.line.say(
                f"Round {number} of {options['rounds']} begins with the "
                f"{dataset.sample_count:,} pairs that run {run.pk} kept."
            )
            run = self._round(dataset, teacher, student, options, limit=None)
        return run

    def _teacher(self, options: dict[str, Any], student: Student) -> Endpoint:
        if options["teacher"] == setup.STUDENT:
            return teacher_that_is(student)
        return setup.find_teacher(
            url=options["teacher"],
            model=options["teacher_model"],
            api_key_variable=options["teacher_key_variable"],
            **{field: options[name] for name, field in TEACHER_LIMITS.items()},
        )

    def _round(
        self,
        dataset: Dataset,
        teacher: Endpoint,
        student: Student,
        options: dict[str, Any],
        *,
        limit: int | None,
    ) -> Run:
        run, is_old = setup.find_run(
            dataset=dataset,
            teacher=teacher,
            student=student,
            policy=policy_of(options),
            protocol=options["protocol"],
            template=options["template"],
            limit=limit,
            budget={name: options[name] for name in ("budget_tokens", "budget_cost")},
        )
        self._take_up(run, is_old=is_old, retry=options["retry_failed"])
        if run.status == Run.Status.RUNNING:
            with ExitStack() as stack:
                if teacher.embedded:
                    if not teacher_answers():
                        self.line.say("Starting the embedded teacher.")
                    stack.enter_context(running_teacher_server())
                setup.check_teacher(teacher)
                self._work(run)
        return run

    def _take_up(self, run: Run, *, is_old: bool, retry: bool) -> None:
        if is_old and retry and run.run_samples.filter(state="failed").exists():
            runs.retry_failed(run=run)
        if run.status == Run.Status.PAUSED:
            runs.resume_run(run=run)
        if is_old:
            progress = run_progress(run)
            failed = f", {progress.failed:,} failed" if progress.failed else ""
            self.line.say(
                f"Going on with run {run.pk}: {progress.done:,} of {progress.total:,} done{failed}."
            )

    def _work(self, run: Run) -> None:
        from refinement.pipeline.local import (
            LocalWorkers,  # here, as it brings the teacher's client
        )

        with LocalWorkers(run.pk) as workers:
            while True:
                workers.look_after()
                run.refresh_from_db()
                progress = run_progress(run)
                self.line.show(progress)
                if progress.status != Run.Status.RUNNING:
                    break
                time.sleep(LOOK_SECONDS)
        run.refresh_from_db()
        if run.status != Run.Status.COMPLETE:
            reason = run.notice or f"Run {run.pk} was {run.status} by somebody."
            raise CommandError(f"{reason} The same command goes on from here.")
