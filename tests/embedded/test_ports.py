from __future__ import annotations

import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from refinement.embedded.errors import EmbeddedError
from refinement.embedded.ports import (
    check_port_is_free,
    http_answers,
    port_answers,
    wait_for_port,
)
from tests.environment import free_port


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Host"] == "known" else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_a_port_answers_only_while_something_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port_answers(port)
    assert not port_answers(port)


def test_only_a_200_to_a_name_that_is_known_is_an_answer() -> None:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        port = server.server_address[1]
        assert http_answers("/", port=port, name="known")
        assert not http_answers("/", port=port, name="unknown")
        server.shutdown()
    assert not http_answers("/", port=port, name="known")


def test_a_port_in_use_is_refused_with_what_and_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(EmbeddedError, match=rf"Port {port} is in use.*the tea.*: use another"):
            check_port_is_free(port, host="127.0.0.1", what="the tea", remedy="use another.")
    check_port_is_free(port, host="127.0.0.1", what="the tea", remedy="use another.")


def test_waiting_ends_when_the_process_does() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process,
        pytest.raises(EmbeddedError, match="ended with status 3"),
    ):
        wait_for_port(free_port(), process=process)


def test_waiting_ends_after_its_time() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with pytest.raises(EmbeddedError, match=r"did not listen within 0\.1 s"):
            wait_for_port(free_port(), process=process, seconds=0.1)
        process.kill()
