"""Fixtures that every package of tests may use. Folders and ports: ``tests/environment.py``."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import hypothesis
import pytest
from django.conf import settings
from django.utils import translation

from refinement.embedded.model import ensure_embedded_model
from refinement.embedded.ports import wait_for_port
from refinement.embedded.valkey import valkey_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# An example takes as long as the machine is busy: time says nothing about the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _first_language() -> Iterator[None]:
    """A request answered in German leaves the thread speaking it; the next test is told English."""
    yield
    translation.activate(settings.LANGUAGE_CODE)


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
    from django.db import connection

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
