"""The API as methods. What the server answers is plain JSON, as its OpenAPI description has it."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import uuid
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDED = {"complete", "cancelled"}
RETRIED = {429, 502, 503, 504}
TRIES = 5
CHUNK_BYTES = 1024 * 1024


class Problem(Exception):  # noqa: N818 - the name that the API uses
    """What the server refused, in its words. ``status`` is 0 where it could not be reached."""

    def __init__(
        self, status: int, detail: str, errors: list[dict[str, str]] | None = None
    ) -> None:
        fields = "".join(f" {error['field']}: {error['message']}." for error in errors or [])
        super().__init__(detail + fields)
        self.status = status
        self.errors = errors or []


class Client:
    """Acts for the person whose token it has. One request at a time; make one a thread.

    What creates something is sent with an idempotency key, so that a try that broke off is simply
    tried again.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a server, such as https://srt.example.org")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._base = parts.path.rstrip("/") + "/api/v1"
        self._token = token
        self._timeout = timeout

    # -- What there is --------------------------------------------------------------------------
    def me(self) -> dict[str, Any]:
        return self._json("GET", "/me")

    def projects(self) -> Iterator[dict[str, Any]]:
        return self._pages("/projects")

    def create_project(self, name: str) -> dict[str, Any]:
        return self._json("POST", "/projects", {"name": name})

    def teachers(self) -> Iterator[dict[str, Any]]:
        return self._pages("/teachers")

    def students(self) -> Iterator[dict[str, Any]]:
        return self._pages("/students")

    # -- Datasets -------------------------------------------------------------------------------
    def upload(self, project: int, path: Path, *, name: str = "") -> dict[str, Any]:
        """Send a file, of any size, as a stream. It is imported by a worker: ``wait_dataset``."""
        query = urlencode({"filename": path.name, "name": name})
        key = uuid.uuid4().hex
        with path.open("rb") as file:
            return self._json(
                "POST",
                f"/projects/{project}/datasets?{query}",
                file=file,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(path.stat().st_size),
                    "Idempotency-Key": key,
                },
            )

    def dataset(self, dataset: int) -> dict[str, Any]:
        return self._json("GET", f"/datasets/{dataset}")

    def rejected(self, dataset: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/datasets/{dataset}/rejected")

    def wait_dataset(self, dataset: int, *, seconds: float = 3600.0) -> dict[str, Any]:
        """The dataset once it is imported. Raises Problem where the import failed."""
        found = self._wait(lambda: self.dataset(dataset), {"ready", "failed"}, seconds)
        if found["status"] == "failed":
            raise Problem(409, found["error"])
        return found

    # -- Runs -----------------------------------------------------------------------------------
    def start_run(self, project: int, dataset: int, **options: Any) -> dict[str, Any]:
        """``options``: teacher, student, name, limit, protocol, template, and the filters."""
        return self._json("POST", f"/projects/{project}/runs", {"dataset": dataset, **options})

    def run(self, run: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}")

    def runs(self, project: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/projects/{project}/runs")

    def steer(self, run: int, action: str) -> dict[str, Any]:
        """``action``: pause, resume or cancel."""
        return self._json("POST", f"/runs/{run}/{action}")

    def retry(self, run: int) -> int:
        return int(self._json("POST", f"/runs/{run}/retry", {})["count"])

    def watch(self, run: int) -> Iterator[dict[str, Any]]:
        """How the run stands, each time that something changed, until it has ended."""
        while True:
            try:
                for event, progress in self._events(f"/runs/{run}/events"):
                    yield progress
                    if event == "end":
                        return
            except Problem as problem:
                if problem.status not in RETRIED | {0}:
                    raise
                time.sleep(2.0)

    # -- Review ---------------------------------------------------------------------------------
    def pairs(self, run: int, *, show: str = "all") -> Iterator[dict[str, Any]]:
        return self._pages(f"/runs/{run}/pairs?show={quote(show)}")

    def pair(self, run: int, pair: int) -> dict[str, Any]:
        return self._json("GET", f"/runs/{run}/pairs/{pair}")

    def decide(
        self,
        run: int,
        pair: int,
        action: str,
        *,
        candidate: int | None = None,
        edit: dict[str, str] | None = None,
        seen: int | None = None,
    ) -> dict[str, Any]:
        """``seen``: ``decision`` of the pair as you read it; then nobody is overruled unseen."""
        body = {"action": action, "candidate": candidate, "edit": edit, "seen": seen}
        return self._json("POST", f"/runs/{run}/pairs/{pair}/decisions", body)

    def undo(self, run: int, pair: int) -> dict[str, Any]:
        return self._json("POST", f"/runs/{run}/pairs/{pair}/undo", {})

    # -- Exports --------------------------------------------------------------------------------
    def export(self, run: int, path: Path, **options: Any) -> dict[str, Any]:
        """Export what the run selects to ``path``, which appears when it is whole."""
        made = self._json("POST", f"/runs/{run}/exports", options)
        place = f"/exports/{made['id']}"
        found = self._wait(lambda: self._json("GET", place), {"ready", "failed"}, 3600.0)
        if found["status"] == "failed":
            raise Problem(409, found["error"])
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            self._download(f"{place}/file", file)
        part.replace(path)
        return found

    # -- The way to the server ------------------------------------------------------------------
    def _json(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        file: IO[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        headers = headers or {}
        data: Any = file
        if file is None and method != "GET":
            data = json.dumps(body or {}).encode()
            key = {"Idempotency-Key": uuid.uuid4().hex}
            headers = {"Content-Type": "application/json", **key, **headers}
        for rest in range(TRIES - 1, -1, -1):
            if file is not None:
                file.seek(0)
            try:
                answer = self._send(method, path, data, headers)
                with answer:
                    found = json.loads(answer.read() or b"{}")
            except Problem as problem:
                if problem.status not in RETRIED | {0} or not rest:
                    raise
                time.sleep(min(2.0 ** (TRIES - rest), 30.0))
            else:
                return dict(found)
        raise AssertionError("unreachable")

    def _send(
        self, method: str, path: str, data: Any, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        """The answer, still to be read. Raises Problem for one of 400 and above."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "Connection": "close",
            **headers,
        }
        connection = (
            http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=ssl.create_default_context()
            )
            if self._secure
            else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        )
        try:
            connection.request(method, self._base + path, body=data, headers=headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Problem(0, f"{self._host}:{self._port} cannot be reached ({error}).") from error
        if answer.status >= 300:
            with answer:
                raise _problem(answer)
        return answer

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        mark = "&" if "?" in path else "?"
        cursor = ""
        while True:
            page = self._json("GET", f"{path}{mark}limit=200&cursor={quote(cursor)}")
            yield from page["items"]
            if page["next"] is None:
                return
            cursor = page["next"]

    def _events(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each event's name and data, until the server ends the stream."""
        with self._send("GET", path, None, {"Accept": "text/event-stream"}) as answer:
            event = ""
            try:
                for raw in answer:
                    line = raw.decode().rstrip("\n")
                    if line.startswith("event: "):
                        event = line[7:]
                    elif line.startswith("data: "):
                        yield event, json.loads(line[6:])
            except (OSError, http.client.HTTPException) as error:
                raise Problem(0, f"The stream broke off ({error}).") from error

    def _download(self, path: str, file: IO[bytes]) -> None:
        with self._send("GET", path, None, {"Accept": "*/*"}) as answer:
            expected = answer.length
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
        if expected is not None and file.tell() != expected:
            raise Problem(0, "The download was cut off. Try it again.")

    @staticmethod
    def _wait(look: Any, states: set[str], seconds: float) -> dict[str, Any]:
        ends, pause = time.monotonic() + seconds, 0.2
        while True:
            found: dict[str, Any] = look()
            if found["status"] in states:
                return found
            if time.monotonic() > ends:
                raise Problem(0, f"It is still {found['status']} after {seconds:g} seconds.")
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)


def _problem(answer: http.client.HTTPResponse) -> Problem:
    try:
        body = json.loads(answer.read())
        return Problem(answer.status, str(body["detail"]), body.get("errors"))
    except (ValueError, KeyError, TypeError, OSError):
        return Problem(answer.status, f"The server answered with status {answer.status}.")
