"""The way to the server: requests, their retries, pages, streams, and what was refused."""

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


class Wire:
    """Speaks for the person whose token it has. One request at a time; make one a thread.

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


def query(words: dict[str, Any]) -> str:
    """``?name=value…``, or nothing. What is None is left out; a list is said once a value."""
    told = {name: value for name, value in words.items() if value is not None}
    for name, value in told.items():
        if isinstance(value, bool):
            told[name] = "true" if value else "false"
    return f"?{urlencode(told, doseq=True)}" if told else ""


def _problem(answer: http.client.HTTPResponse) -> Problem:
    try:
        body = json.loads(answer.read())
        return Problem(answer.status, str(body["detail"]), body.get("errors"))
    except (ValueError, KeyError, TypeError, OSError):
        return Problem(answer.status, f"The server answered with status {answer.status}.")
