"""A Hugging Face hub of our own: the endpoints that an upload of a dataset repository asks for.

As documented in the Hub API: ``repos/create``, ``preupload`` (which says what goes through Git
LFS), the LFS batch API, and ``commit`` as newline-delimited JSON.
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "hf_of_the_test"


@dataclass
class Hub:
    """``files``: what was committed, by path. ``made``: the requests for repositories."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    message: str = ""


@contextmanager
def running_hub() -> Iterator[Hub]:
    """``hub.url`` is what ``HF_ENDPOINT`` is to say."""
    hub = Hub()

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body, path = self._body(), urlsplit(self.path).path
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            self.served.made.append(asked)
            name = f"{asked.get('organization', 'me')}/{asked['name']}"
            self._answer(200, {"url": f"{self.served.url}/datasets/{name}", "name": name})
        elif path == "/api/validate-yaml":  # the head of the dataset card
            head = json.loads(body)["content"].removeprefix("---").split("---")[0]
            wrong = [] if isinstance(yaml.safe_load(head), dict) else [{"message": "no YAML"}]
            self._answer(400 if wrong else 200, {"errors": wrong, "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            self._answer(200, {"files": [self._mode(file) for file in files]})
        elif path.endswith("/info/lfs/objects/batch"):
            self._answer(200, self._batch(json.loads(body)))
        elif "/commit/" in path:
            self._commit(body)
            url = f"{self.served.url}/datasets/me/pairs/commit/abc"
            self._answer(200, {"commitUrl": url, "commitOid": "a" * 40, "success": True})
        else:
            self._answer(404, {"error": f"no such endpoint: {path}"})

    def do_PUT(self) -> None:
        self.served.blobs[self.path.rpartition("/")[2]] = self._body()
        self._answer(200, {})

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        self._answer(200, {"id": "me/pairs"}) if known else self._answer(401, {"error": "No."})

    def _mode(self, file: dict[str, Any]) -> dict[str, Any]:
        large = file["path"].endswith((".jsonl", ".parquet"))
        return {
            "path": file["path"],
            "uploadMode": "lfs" if large else "regular",
            "shouldIgnore": False,
        }

    def _batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "transfer": "basic",
            "objects": [
                {
                    **thing,
                    "actions": {"upload": {"href": f"{self.served.url}/blobs/{thing['oid']}"}},
                }
                for thing in asked["objects"]
            ],
        }

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            told = json.loads(line)
            value = told["value"]
            if told["key"] == "header":
                self.served.message = value["summary"]
            elif told["key"] == "file":
                self.served.files[value["path"]] = base64.b64decode(value["content"])
            elif told["key"] == "lfsFile":
                self.served.files[value["path"]] = self.served.blobs[value["oid"]]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Quiet."""
