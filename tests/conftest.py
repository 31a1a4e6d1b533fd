"""Fixtures that every package of tests may use. Folders and ports: ``tests/environment.py``."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import hypothesis
import pytest
from django.conf import settings
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection
from django.db.models.signals import post_migrate
from django.utils import translation
from xdist.scheduler import LoadScopeScheduling

from refinement.embedded.model import ensure_embedded_model
from refinement.embedded.ports import wait_for_port
from refinement.embedded.valkey import valkey_command
from refinement.selectors.run_columns import forget_tables
from refinement.selectors.slices import forget_fields
from tests.environment import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.plugin import DjangoDbBlocker

EMPTY_DATABASE = Path(settings.DATA_DIR) / "empty.sqlite3"
WHOLE = "tests/whole"

# An example takes as long as the machine is busy: time says nothing about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _as_new() -> Iterator[None]:
    """What a test leaves in this process: the language of its last page, tables by id."""
    yield
    translation.activate(settings.LANGUAGE_CODE)
    forget_tables()  # a database that is rolled back gives the same ids again
    forget_fields()


class ByModule(LoadScopeScheduling):
    """A module's tests run in one worker, and so do the modules that share one product."""

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        return WHOLE if scope.startswith(f"{WHOLE}/") else scope


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule | None:
    return ByModule(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Modules that start processes go first, so that none is left for one worker at the end.

    On PostgreSQL only what meets a database is run: all else was, on SQLite.
    """
    if "DATABASE_URL" in os.environ:
        config.hook.pytest_deselected(items=[item for item in items if not _meets_database(item)])
        items[:] = filter(_meets_database, items)
    slow = {
        item.module  # type: ignore[attr-defined]
        for item in items
        if item.get_closest_marker("processes") or item.get_closest_marker("browser")
    }
    items.sort(key=lambda item: item.module not in slow)  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Look once for what was forgotten by tests; pytest would look ten times at all there is."""
    gc.collect()
    gc.freeze()


def _meets_database(item: pytest.Item) -> bool:
    asked = {"db", "transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
    return bool(asked) or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The plugin's; then SQLite's database is copied while it is empty (``new_database``).

    Emptying tables after a test would fill in Django's permissions anew, which nothing here uses
    and which takes longer than the emptying.
    """
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    if connection.vendor == "sqlite":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(EMPTY_DATABASE)])
    else:
        connection.ops.sql_flush = _sql_flush


def _sql_flush(_style: object, tables: list[str], **_options: object) -> list[str]:
    """Empty PostgreSQL's tables row by row: to TRUNCATE makes each file of each index anew."""
    rows = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]  # noqa: S608
    return ["; ".join(["SET LOCAL session_replication_role = replica", *rows])]


@pytest.fixture(scope="session")
def new_database(django_db_setup: None) -> Path:
    """An SQLite file with all tables and no row: to migrate one anew takes some seconds."""
    if not EMPTY_DATABASE.exists():
        env = os.environ | {"DATABASE_URL": f"sqlite:///{EMPTY_DATABASE}"}
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=REPOSITORY, env=env, check=True)
    return EMPTY_DATABASE


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Valkey of this process alone, at ``settings.BROKER_URL``."""
    port = urlsplit(settings.BROKER_URL).port
    assert port is not None
    folder = tmp_path_factory.mktemp("valkey")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(valkey_command(folder=folder, port=port), stdout=log, stderr=log)
        try:
            wait_for_port(port, process=process)
            yield settings.BROKER_URL
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="session")
def embedded_model_dir() -> Path:
    """SmolLM2-135M-Instruct in float32, prepared once for this checkout by the product."""
    return ensure_embedded_model()


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The address of the test's database, for processes that the test starts."""
    return database_address()


def database_address() -> str:
    """The address of this process's database, once ``django_db_setup`` has made it."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    options = {k: v for k, v in values["OPTIONS"].items() if isinstance(v, str)}
    login = quote(values["USER"]) + (f":{quote(values['PASSWORD'])}" if values["PASSWORD"] else "")
    place = f"{values['HOST']}:{values['PORT']}".rstrip(":")
    query = f"?{urlencode(options)}" if options else ""
    return f"postgresql://{login}@{place}/{values['NAME']}{query}"


@pytest.fixture
def process_env(database_url: str, valkey_url: str) -> dict[str, str]:
    """The environment of a worker or web process that shares the test's database and broker."""
    return os.environ | {
        "DATABASE_URL": database_url,
        "SRT_BROKER_URL": valkey_url,
        "OMP_NUM_THREADS": "1",
    }
