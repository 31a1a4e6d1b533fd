"""A scriptable OpenAI-compatible server, for tests that need a teacher as a real process.

    python tests/fake_teacher.py --port 8000 --latency 0.05 --log requests.jsonl

With ``--port 0`` it takes a free port. Once it listens it prints one line, ``listening on URL``.
Replies follow from a hash of the messages, so the same request has the same reply in every run. One
reply suits every staged step, behind the label that the examples have, if they have one; a prompt
that shows tags gets a tagged reply, and a request with a ``response_format`` gets JSON.

A marker in a message's text makes it misbehave: ``[[refuse]]`` always, ``[[refuse once]]`` or
``[[refuse 3]]`` for the first one or three requests that hold the marker's line, and
``[[refuse after 3]]`` for all but the first three. The kinds are the keys of ``MISDEEDS``. Count
lines of the log to learn what was paid: one JSON object a request, written before it is answered.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

MARKER = re.compile(r"\[\[([a-z0-9 -]+?)(?: (once|\d+|after \d+))?\]\]")
TAG = re.compile(r"^\s*(\[[A-Z][A-Za-z0-9 ]+\])", re.MULTILINE)
OPENINGS = ("Explain", "Describe", "Compare", "Show", "Consider", "Outline", "Summarise", "Discuss")
FILLERS = ("the role of", "a clear case of", "and then", "together with", "in view of", "step by")


@dataclass(frozen=True)
class Settings:
    """What a server is told on its command line."""

    model: str = "fake-teacher"
    latency: float = 0.0  # seconds
    key: str = ""  # when set, requests must carry it
    log: Path | None = None
    capacity: int = 0  # requests at a time; more are answered 429. 0: no limit
    no_temperature: bool = False  # like a reasoning model: refuses temperature
    completion_tokens: bool = False  # like a reasoning model: refuses max_tokens
    no_response_format: bool = False
    status: int = 0  # when set, every completion is answered with this status
    retry_after: str = ""  # the header that goes with 429 and 503, e.g. "0.05"
    rate: int = 0  # requests a second, told in x-ratelimit-* headers; more are answered 429
    azure: bool = False  # paths, version and key as Azure has them

    @property
    def path(self) -> str:
        if self.azure:
            return f"/openai/deployments/{self.model}/chat/completions?api-version=2025-01-01"
        return "/v1/chat/completions"


def reply_text(messages: list[dict[str, Any]], part: str = "") -> str:
    """A paragraph made from the last message's own words, chosen by a hash of all messages."""
    digest = hashlib.sha256((part + json.dumps(messages, sort_keys=True)).encode()).hexdigest()
    chance = random.Random(digest)
    words = re.findall(r"\b[^\W\d_]{4,}\b", str(messages[-1]["content"])) or ["nothing"]
    sentences = []
    for _ in range(chance.randint(1, 4)):
        parts = [chance.choice(OPENINGS)]
        for _ in range(chance.randint(3, 7)):
            parts += [chance.choice(FILLERS), chance.choice(words).lower()]
        sentences.append(" ".join(parts) + ".")
    return " ".join(sentences)


def label_of_examples(messages: list[dict[str, Any]]) -> str:
    """The label that all example replies in the prompt begin with, such as "Summary: "."""
    replies = [m["content"] for m in messages if m["role"] == "assistant"]
    labels = [re.match(r"[A-Z][A-Za-z ]+: ", reply) for reply in replies]
    found = {label[0] if label else "" for label in labels}
    return found.pop() if len(found) == 1 else ""


def tagged_text(messages: list[dict[str, Any]]) -> str:
    """A criticism, then every tag the prompt puts at the beginning of a line, with a text each."""
    tags = list(dict.fromkeys(TAG.findall(str(messages[-1]["content"]))))
    bodies = [tag for tag in tags if "End" not in tag]
    parts = [reply_text(messages)] if tags else []
    for tag in bodies:
        parts.append(f"{tag} {reply_text(messages, tag)}")
        parts += [end for end in (f"[End {tag[1:]}", f"[/{tag[1:]}") if end in tags]
    return "\n".join(parts)


def json_text(messages: list[dict[str, Any]], response_format: dict[str, Any]) -> str:
    schema = response_format["json_schema"]["schema"]
    return json.dumps({name: reply_text(messages, name) for name in schema["properties"]})


# -- Misdeeds: each either changes the choice that is sent, or answers in another way -------------
def _finish(text: str, reason: str = "stop") -> Callable[[dict[str, Any]], None]:
    def change(choice: dict[str, Any]) -> None:
        choice["message"]["content"] = text
        choice["finish_reason"] = reason

    return change


def _cut(choice: dict[str, Any]) -> None:
    choice["message"]["content"] = choice["message"]["content"][:40]
    choice["finish_reason"] = "length"


def _refusal_field(choice: dict[str, Any]) -> None:
    choice["message"] |= {"content": None, "refusal": "This is against the rules."}


MISDEEDS: dict[str, Callable[[dict[str, Any]], None] | str] = {
    "empty": _finish(""),
    "null": _finish(None),  # type: ignore[arg-type]
    "refuse": _finish("I'm sorry, but I can't assist with that."),
    "refusal field": _refusal_field,
    "filter": _finish("", "content_filter"),
    "cut": _cut,
    "chatter": _finish("Hi! How can I help you today?"),
    "broken text": _finish("half a pair \ud800, a NUL \x00"),
    "malformed": _finish('{"new_instruction": "half of a'),
    "400": "400",
    "401": "401",
    "403": "403",
    "404": "404",
    "429": "429",
    "500": "500",
    "503": "503",
    "moderation": "moderation",
    "quota": "quota",
    "too long": "too long",
    "html": "html",
    "garbage": "garbage",  # called JSON, and is none
    "no choices": "no choices",
    "close": "close",  # before any answer
    "half": "half",  # in the middle of the body
    "hang": "hang",  # accepts and never answers, until the server stops
}


# Misdeeds that are a status with an error code.
CODES = {
    "moderation": (400, "content_filter"),
    "quota": (429, "insufficient_quota"),
    "too long": (400, "context_length_exceeded"),
}


@dataclass
class State:
    """Counts that requests share."""

    settings: Settings
    lock: threading.Lock = field(default_factory=threading.Lock)
    seen: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    allowance: float | None = None  # requests that the rate still allows
    counted_at: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)

    def misdeed(self, messages: list[dict[str, Any]]) -> str:
        """The first misdeed that a marker asks for now, or an empty string."""
        text = "\n".join(str(message["content"]) for message in messages)
        due = ""
        for line in dict.fromkeys(text.splitlines()):
            for kind, when in MARKER.findall(line):
                if kind not in MISDEEDS:
                    continue
                with self.lock:
                    self.seen[f"{kind} {when} {line}"] += 1
                    count = self.seen[f"{kind} {when} {line}"]
                if _is_due(count, when):
                    due = due or kind
        return due

    def exceeds_rate(self) -> bool:
        """Take one request from a bucket that holds a second's worth of them."""
        rate, now = self.settings.rate, time.monotonic()
        if not rate:
            return False
        with self.lock:
            level = rate if self.allowance is None else self.allowance
            level = min(rate, level + rate * (now - self.counted_at))
            exceeded = level < 1
            self.allowance, self.counted_at = level - (not exceeded), now
        return exceeded

    def record(self, entry: dict[str, Any]) -> None:
        with self.lock:
            self.requests.append(entry)
            if self.settings.log:
                with self.settings.log.open("a", encoding="utf-8") as log:
                    log.write(json.dumps(entry) + "\n")


def _is_due(count: int, when: str) -> bool:
    if when.startswith("after "):
        return count > int(when.removeprefix("after "))
    return not when or count <= (1 if when == "once" else int(when))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeTeacher

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Silent: the log file says what matters."""

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._send(404, {"error": {"message": f"no such path: {self.path}"}})
        elif not self._key_is_right():
            self._send(401, {"error": {"message": "Incorrect API key provided."}})
        else:
            model = {"id": self.server.state.settings.model, "object": "model"}
            self._send(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != self.server.state.settings.path:
            self._send(404, {"detail": "Not Found"})
            return
        state = self.server.state
        with state.lock:
            state.in_flight += 1
            state.most_in_flight = max(state.most_in_flight, state.in_flight)
            crowded = 0 < state.settings.capacity < state.in_flight
        crowded |= state.exceeds_rate()
        try:
            self._complete(json.loads(body), crowded=crowded)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with state.lock:
                state.in_flight -= 1

    def _complete(self, request: dict[str, Any], *, crowded: bool) -> None:
        state, settings, began = self.server.state, self.server.state.settings, time.time()
        state.stopped.wait(settings.latency)
        status, problem = self._objection(request)
        misdeed = "" if problem else state.misdeed(request["messages"])
        if not problem and (crowded or settings.status):
            misdeed = "429" if crowded else str(settings.status)
        entry = {
            "began": began,
            "time": time.time(),
            "hash": hashlib.sha256(json.dumps(request["messages"]).encode()).hexdigest(),
            "misdeed": misdeed,
            "status": int(misdeed) if misdeed.isdigit() else status,
            "request": request,
            "headers": dict(self.headers.items()),
        }
        if problem:
            state.record(entry)
            self._send(status, {"error": {"message": problem}})
        elif isinstance(MISDEEDS.get(misdeed, misdeed), str) and misdeed:
            state.record(entry)
            self._misbehave(misdeed)
        else:
            body = self._completion(request, misdeed)
            entry["reply"] = body["choices"][0]["message"]["content"]
            state.record(entry)
            self._send(200, body)

    def _objection(self, request: dict[str, Any]) -> tuple[int, str]:
        settings = self.server.state.settings
        if not self._key_is_right():
            return 401, "Incorrect API key provided."
        if request["model"] != settings.model:
            return 404, f"The model `{request['model']}` does not exist."
        if settings.no_temperature and "temperature" in request:
            return 400, "Unsupported parameter: 'temperature' is not supported with this model."
        if settings.completion_tokens and "max_tokens" in request:
            return 400, (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
        if settings.no_response_format and "response_format" in request:
            return 400, "Unexpected keys in the request: {'response_format'}"
        return 200, ""

    def _completion(self, request: dict[str, Any], misdeed: str) -> dict[str, Any]:
        messages = request["messages"]
        if "response_format" in request:
            text = json_text(messages, request["response_format"])
        else:
            text = tagged_text(messages) or label_of_examples(messages) + reply_text(messages)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        change = MISDEEDS.get(misdeed)
        if callable(change):
            change(choice)
        prompt = sum(len(str(message["content"]).split()) for message in messages)
        completion = len(str(choice["message"]["content"]).split())  # type: ignore[index]
        return {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request["model"],
            "choices": [choice],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }

    def _misbehave(self, kind: str) -> None:
        if kind.isdigit():
            who = self.headers.get("authorization", "nobody")  # some servers repeat the key
            self._send(int(kind), {"error": {"message": f"asked to answer {kind} to {who}"}})
        elif kind in CODES:
            status, code = CODES[kind]
            self._send(status, {"error": {"message": f"asked to fail by {kind}", "code": code}})
        elif kind == "html":
            self._send(200, "<!doctype html><title>Welcome</title>", "text/html")
        elif kind == "garbage":
            self._send(200, "{'choices': ")
        elif kind == "no choices":
            self._send(200, {"object": "chat.completion", "model": "fake-teacher"})
        elif kind == "half":
            self._send(200, '{"object": "chat.comple', length=4000)
            self.close_connection = True
        else:
            if kind == "hang":
                self.server.state.stopped.wait()
            self.close_connection = True

    def _key_is_right(self) -> bool:
        key = self.server.state.settings.key
        if self.server.state.settings.azure:
            return "authorization" not in self.headers and self.headers.get("api-key", "") == key
        return not key or self.headers.get("authorization") == f"Bearer {key}"

    def _send(
        self,
        status: int,
        body: dict[str, Any] | str,
        kind: str = "application/json",
        length: int | None = None,
    ) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length or len(data)))
        if status in (429, 503) and self.server.state.settings.retry_after:
            self.send_header("retry-after", self.server.state.settings.retry_after)
        self._send_rate()
        self.end_headers()
        self.wfile.write(data)

    def _send_rate(self) -> None:
        state = self.server.state
        if state.settings.rate and state.allowance is not None:
            missing = state.settings.rate - state.allowance
            self.send_header("x-ratelimit-limit-requests", str(state.settings.rate))
            self.send_header("x-ratelimit-remaining-requests", str(int(state.allowance)))
            self.send_header("x-ratelimit-reset-requests", f"{missing / state.settings.rate:.3f}s")


class FakeTeacher(ThreadingHTTPServer):
    """The server. As a context manager it serves from a thread: ``with FakeTeacher() as t: …``."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, settings: Settings | None = None, port: int = 0) -> None:
        self.state = State(settings or Settings())
        super().__init__(("127.0.0.1", port), Handler)
        host = f"http://127.0.0.1:{self.server_address[1]}"
        self.base_url = host + self.state.settings.path.replace("/chat/completions", "")

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.state.stopped.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news: many tests do it on purpose."""


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server for tests.")
    parser.add_argument("--port", type=int, default=0)
    for name, default in vars(Settings()).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            kind = Path if name == "log" else type(default)
            parser.add_argument(flag, type=kind, default=default)
    options = vars(parser.parse_args())
    server = FakeTeacher(port=options.pop("port"), settings=Settings(**options))
    print(f"listening on {server.base_url}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
