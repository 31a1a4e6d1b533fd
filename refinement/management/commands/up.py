"""manage.py up: everything embedded, one command; Ctrl-C stops all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.services import Plan
from refinement.embedded.supervisor import Supervisor
from refinement.management.quick import QuickCommand
from refinement.models import User

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(QuickCommand):
    help = "Start web, workers, broker and the embedded teacher; Ctrl-C stops all of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_plan_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        supervisor = Supervisor(plan_from(options), say=self._say)
        try:
            with supervisor.stopped_by_signals():
                self._say("Starting srt-web ...")
                if supervisor.start() and supervisor.wait_until_ready():
                    self._welcome(supervisor)
                    supervisor.run_until(lambda: False)
                self._say("Stopping ...")
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
        self._say("Stopped.")

    def _welcome(self, supervisor: Supervisor) -> None:
        self._say(f"Ready at {supervisor.plan.url} (Ctrl-C stops everything)")
        if not User.objects.exists():
            self._say("Nobody can log in yet: run `python manage.py createsuperuser`.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def add_plan_arguments(parser: ArgumentParser, *, teacher: bool = True) -> None:
    """The options that shape what is started. ``manage.py demo`` has them too, but its teacher."""
    parser.add_argument("--host", default="127.0.0.1", help="address of the web server")
    parser.add_argument("--port", type=int, default=8000, help="port of the web server")
    parser.add_argument(
        "--students", type=int, default=1, metavar="N", help="number of student processes"
    )
    parser.set_defaults(no_teacher=False)
    if not teacher:
        return
    parser.add_argument(
        "--no-teacher",
        action="store_true",
        help="leave the embedded teacher out: only registered endpoints are used",
    )


def plan_from(options: dict[str, Any]) -> Plan:
    return Plan(
        host=options["host"],
        port=options["port"],
        teacher=not options["no_teacher"],
        students=max(1, options["students"]),
    )
