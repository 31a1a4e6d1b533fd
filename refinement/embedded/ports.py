"""TCP ports on this machine: is one free, does something answer."""

from __future__ import annotations

import socket
import time
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from refinement.embedded.errors import EmbeddedError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


def port_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def http_answers(path: str, *, port: int, host: str = "127.0.0.1", name: str = "localhost") -> bool:
    """Whether a GET of ``path``, asked for by the host name ``name``, is soon answered with 200."""
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": name})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def wait_for_port(port: int, *, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Return once ``process`` accepts connections. Raises EmbeddedError if it dies or dawdles."""
    wait_until(lambda: port_answers(port), process=process, seconds=seconds)


def wait_until(
    ready: Callable[[], bool], *, process: subprocess.Popen[bytes], seconds: float
) -> None:
    """Return once ``ready()``. Raises EmbeddedError if ``process`` dies or dawdles before."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            raise EmbeddedError(f"{process.args!r} ended with status {process.returncode}.")
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{process.args!r} did not listen within {seconds:g} s.")
        time.sleep(0.05)


def check_port_is_free(port: int, *, host: str, what: str, remedy: str) -> None:
    """Raise EmbeddedError when ``what`` could not listen on ``host:port``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EmbeddedError(
                f"Port {port} is in use or not allowed, so {what} cannot start there "
                f"({error.strerror}): {remedy}"
            ) from error
