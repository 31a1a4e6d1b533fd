"""manage.py demo: the whole product on 24 bundled pairs, with nothing to set up.

Everything goes the way it goes for a user: uploaded, imported by a worker, refined by the pipeline,
exported. The dashboard shows it meanwhile, and stays up afterwards.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.supervisor import Supervisor
from refinement.embedded.teacher_server import teacher_answers
from refinement.management import demo_setup as setup
from refinement.management.commands.up import add_plan_arguments, plan_from
from refinement.management.progress import ProgressLine, duration, summary_table
from refinement.management.quick import QuickCommand
from refinement.models import Dataset, Run, RunSample, User
from refinement.selectors.runs import run_progress, run_summary
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

    from refinement.selectors.runs import RunProgress

LOOK_SECONDS = 0.5
MOST_DEATHS = 5  # of one service in a row; then something is wrong that waiting does not mend
INTERRUPTED = 130


class Command(QuickCommand):
    help = "Refine the bundled pairs with the embedded teacher and student, and show the result."

    def add_arguments(self, parser: CommandParser) -> None:
        add_plan_arguments(parser, teacher=False)
        parser.add_argument(
            "--exit", action="store_true", help="stop everything once the file is written"
        )

        parser.add_argument("--limit", type=int, metavar="N", help="the first N pairs alone")

    def handle(self, **options: Any) -> None:
        self.began = time.monotonic()
        self.interrupted = False
        self.limit: int | None = options["limit"]
        self.stay = not options["exit"]
        self.line = ProgressLine(self.stdout)
        self.supervisor = Supervisor(plan_from(options), say=self.line.say)
        try:
            if not self.stay and self._finished_before():
                return
            with self.supervisor.stopped_by_signals():
                self._demonstrate()
                self.line.say("Stopping everything ...")
        except (EmbeddedError, ServiceError) as error:
            raise CommandError(str(error)) from error
        if self.interrupted:
            raise SystemExit(INTERRUPTED)

    # -- With nothing left to do ---------------------------------------------------------------
    def _finished_before(self) -> bool:
        """Where an earlier demonstration is complete, its export needs no service to run."""
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        call_command("migrate", interactive=False, verbosity=0)
        run = self._finished_run()
        if run is None:
            return False
        self._conclude(run)
        return True

    def _finished_run(self) -> Run | None:
        user = User.objects.filter(username=setup.USERNAME).first()
        if user is None:
            return None
        dataset = setup.demo_dataset(setup.demo_project(user), user)
        run = setup.finished_run(dataset, self.limit)
        if run is not None:
            self.line.say(
                f"Run {run.pk} of {run.finished_at or run.created_at:%Y-%m-%d %H:%M} has done this "
                "already: writing its selection again."
            )
        return run

    # -- The demonstration ---------------------------------------------------------------------
    def _demonstrate(self) -> None:
        self.line.say("Starting the services ...")
        if not self.supervisor.start():
            self.interrupted = True
            return
        user, is_new = setup.demo_user()
        login = ""
        if is_new or self.stay:
            password = setup.set_one_time_password(user)
            login = f"Log in as {user.username} with the password {password}"
        run = self._finished_run()
        if run is None:
            self.line.say(f"Dashboard: {self._url()}\n{login}".rstrip())
            run = self._refine(user)
        if self.interrupted or run is None:
            return
        if run.status == Run.Status.COMPLETE:
            self._conclude(run)
        if self.stay and self._wait(self.supervisor.all_answer):
            self.line.say(
                f"\nThe dashboard stays up at {self._url('run', run.pk)}\n"
                f"{login} (change it under your name).\n"
                "Ctrl-C stops everything."
            )
            self.supervisor.run_until(lambda: False)

    def _refine(self, user: User) -> Run | None:
        """Import and run; None when asked to stop meanwhile."""
        dataset = setup.demo_dataset(setup.demo_project(user), user)
        if not self._wait(lambda: self._is_imported(dataset) and teacher_answers()):
            return None
        run = setup.demo_run(dataset, user, self.limit)
        count = run.run_samples.count()
        pairs = f"{count} pair{'' if count == 1 else 's'}"
        self.line.say(f"Refining {pairs}; follow it at {self._url('run', run.pk)}")
        if not self._wait(Watch(self, run).is_over):
            return None
        self.line.end()
        run.refresh_from_db()
        return run

    def _wait(self, done: Callable[[], bool]) -> bool:
        """Look after the services until ``done``; False when asked to stop meanwhile."""

        def look() -> bool:
            self.supervisor.check_not_hopeless(MOST_DEATHS)
            return done()

        self.interrupted = not self.supervisor.run_until(look)
        return not self.interrupted

    def _is_imported(self, dataset: Dataset) -> bool:
        dataset.refresh_from_db()
        if dataset.status == Dataset.Status.FAILED:
            raise ServiceError(f"The bundled pairs could not be imported: {dataset.error}")
        return dataset.status == Dataset.Status.READY

    def _conclude(self, run: Run) -> None:
        folder = settings.DATA_DIR / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        call_command(
            "export_dataset", run=run.pk, output=folder / "selected.jsonl", stdout=self.stdout
        )
        self.stdout.write(summary_table(run_summary(run)))
        self.stdout.write(f"This took {duration(time.monotonic() - self.began)}.")

    def _url(self, name: str = "", *args: int) -> str:
        return self.supervisor.plan.url.rstrip("/") + (reverse(name, args=args) if name else "/")

    def tell_of_first(self, run: Run) -> None:
        """The first pair with a verdict, and where to judge it."""
        first = RunSample.objects.filter(run=run, stage="done").order_by("updated_at").first()
        if first is not None:
            self.line.say(
                f"The first pair can be reviewed, {duration(time.monotonic() - self.began)} after "
                f"the start: {self._url('review-pair', run.pk, first.pk)}"
            )


class Watch:
    """Shows a run's progress until it is over."""

    def __init__(self, command: Command, run: Run) -> None:
        self.command = command
        self.run = run
        self.looked_at = float("-inf")
        self.told_of_first = False
        self.status = str(run.status)

    def is_over(self) -> bool:
        """Also when it was cancelled. Raises ServiceError where nobody is there to resume it."""
        if time.monotonic() - self.looked_at < LOOK_SECONDS:
            return False
        self.looked_at = time.monotonic()
        self.run.refresh_from_db()
        progress = run_progress(self.run)
        if progress.reviewable and not self.told_of_first:
            self.told_of_first = True
            self.command.tell_of_first(self.run)
        self.command.line.show(progress)
        if progress.status != self.status:
            self.status = progress.status
            self._tell_of_status(progress)
        return progress.status in {Run.Status.COMPLETE, Run.Status.CANCELLED}

    def _tell_of_status(self, progress: RunProgress) -> None:
        if progress.status == Run.Status.COMPLETE:
            return
        sentence = f"The run is {Run.Status(progress.status).label.lower()}. {progress.notice}"
        if not self.command.stay and progress.status != Run.Status.RUNNING:
            raise ServiceError(sentence.strip())
        self.command.line.say(sentence.strip())
