"""The teacher: one client for every OpenAI-compatible server.

It asks at most as many questions at a time as the server can take, tries again where that helps,
and learns what a server does not understand. What it raises says whether asking later can help.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from refinement.method import server_errors
from refinement.method.addresses import AddressRefusedError
from refinement.method.errors import (
    PermanentTeacherError,
    SchemaRefusedError,
    TeacherTimeoutError,
    TransientTeacherError,
)
from refinement.method.limits import LONGEST_SERVER_WAIT_SECONDS, AdaptiveLimit, back_off
from refinement.method.pairs import TeacherReply
from refinement.method.replies import storable
from refinement.method.specs import TeacherSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import openai

    from refinement.method.addresses import AddressRule
    from refinement.method.asking import Message

logger = logging.getLogger(__name__)

PATH = "/chat/completions"
CHECK_SECONDS = 60.0
CHECK_TOKENS = 16  # the least that some servers accept
TOKENS_PER_PRICE = 1_000_000


@dataclass
class Quirks:
    """What a server refused once, and is not sent again."""

    temperature: bool = False
    max_tokens: bool = False  # a reasoning model: it wants max_completion_tokens
    response_format: bool = False


class Teacher:
    """Asks one model on one server. Belongs to the event loop it is first used in.

    ``first_wait`` is the first back-off in seconds. ``rule`` says which addresses may be asked,
    also after a redirect; without one, all may.
    """

    def __init__(
        self, spec: TeacherSpec, *, first_wait: float = 0.5, rule: AddressRule | None = None
    ) -> None:
        self.spec = spec
        self.limit = AdaptiveLimit(spec.max_concurrency)
        self.quirks = Quirks()
        self.rule = rule
        self._first_wait = first_wait
        self._key = ""
        self._client: openai.AsyncOpenAI | None = None
        self._address = ""
        self._options: openai.RequestOptions = {}

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        json_schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> TeacherReply:
        """One reply to ``messages``, whatever its quality.

        ``max_tokens`` bounds this reply below ``spec.max_tokens``. A reasoning model gets the full
        ``spec.max_tokens``, since it thinks within them. A refusal that the server marks as one has
        its words as text and ``refusal`` as ``finish_reason``.

        Raises TransientTeacherError when ``spec.tries`` tries did not help, PermanentTeacherError
        when no further try can, SchemaRefusedError when the server knows no ``response_format``,
        and ReplyError ("filtered") when it refused the sample for its content.
        """
        tries = 0
        while True:
            try:
                return await self._try(messages, json_schema, max_tokens)
            except TransientTeacherError as error:
                # A try that timed out took long, and may have been paid for: it counts as two.
                tries += 2 if isinstance(error, TeacherTimeoutError) else 1
                asked = error.retry_after
                if tries >= self.spec.tries or (asked or 0.0) > LONGEST_SERVER_WAIT_SECONDS:
                    raise
                wait = back_off(tries, self._first_wait) if asked is None else asked
                logger.info("teacher: try %d failed, next in %.1f s: %s", tries, wait, error)
            await asyncio.sleep(wait)

    async def aclose(self) -> None:
        """Closes the connections. The teacher may be asked again, which opens new ones."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _try(
        self,
        messages: Sequence[Message],
        json_schema: Mapping[str, Any] | None,
        max_tokens: int | None,
    ) -> TeacherReply:
        """One try; a server that names a parameter it does not take is asked without, at once."""
        import openai

        client = self._open()
        async with self.limit.slot() as began:
            for _ in range(len(vars(self.quirks)) + 1):
                request = self._request(messages, json_schema, max_tokens)
                try:
                    async with asyncio.timeout(self.spec.timeout_seconds):
                        # Not by the typed method, which spends milliseconds on checking types.
                        raw = await client.post(
                            self._address,
                            body=request,
                            cast_to=httpx2.Response,
                            options=self._options,
                        )
                    reply = self._read(raw, time.monotonic() - began)
                except TimeoutError:
                    self.limit.overloaded(began)
                    raise server_errors.timed_out(self.spec) from None
                except AddressRefusedError as error:
                    raise server_errors.refused_address(self.spec, error) from None
                except OSError:  # the name means nothing: looked up by us, so not in their class
                    raise server_errors.nothing_answers(self.spec) from None
                except openai.APIConnectionError as error:
                    problem = server_errors.from_connection(self.spec, error)
                    if isinstance(problem, TeacherTimeoutError):
                        self.limit.overloaded(began)
                    raise problem from None
                except openai.APIStatusError as error:
                    if self._learn(error, request):
                        continue
                    raise self._status_error(error, began) from None
                self.limit.answered()
                tokens = reply.prompt_tokens + reply.completion_tokens
                self.limit.rates.heed(raw.headers, tokens)
                return reply
        raise PermanentTeacherError(
            f"The teacher at {self.spec.base_url} refuses every form of request that we know."
        )

    def _open(self) -> openai.AsyncOpenAI:
        """The client, made on first use: the key is read then, and only kept in memory."""
        if self._client is not None:
            return self._client
        spec = self.spec
        url = urlsplit(spec.base_url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise server_errors.bad_url(spec)
        self._key = os.environ.get(spec.api_key_variable, "").strip()
        if spec.api_key_variable and not self._key:
            raise server_errors.missing_key(spec)
        if not all("!" <= character <= "~" for character in self._key):
            raise server_errors.bad_key(spec)
        # With the first question: it loads the client's library, which most processes never need.
        from refinement.method.connections import open_client, request_options

        self._client = open_client(spec, self._key, self.rule)
        # Whole, as the client puts an address together anew for each question.
        self._address = f"{str(self._client.base_url).rstrip('/')}{PATH}"
        self._options = request_options(spec, self._key)
        return self._client

    def _request(
        self,
        messages: Sequence[Message],
        json_schema: Mapping[str, Any] | None,
        max_tokens: int | None,
    ) -> dict[str, Any]:
        spec, quirks = self.spec, self.quirks
        request: dict[str, Any] = {"model": spec.model, "messages": list(messages)}
        if not quirks.temperature:
            request["temperature"] = spec.temperature
        if quirks.max_tokens:
            request["max_completion_tokens"] = spec.max_tokens
        else:
            request["max_tokens"] = min(spec.max_tokens, max_tokens or spec.max_tokens)
        if json_schema is not None:
            if quirks.response_format:
                raise SchemaRefusedError(f"{spec.base_url} takes no response_format.")
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reflection", "strict": True, "schema": dict(json_schema)},
            }
        return request

    def _learn(self, error: openai.APIStatusError, request: dict[str, Any]) -> bool:
        """Whether the server refused a parameter that we can do without. Remembers which."""
        if error.status_code not in {400, 422}:
            return False
        words = f"{error.param or ''} {server_errors.message_of(error)}".lower()
        if "max_tokens" in request and "max_completion_tokens" in words:
            self.quirks.max_tokens = True
        elif "temperature" in request and "temperature" in words:
            self.quirks.temperature = True
        elif "response_format" in request and any(
            name in words for name in ("response_format", "json_schema", "structured output")
        ):
            self.quirks.response_format = True
        else:
            return False
        return True

    def _status_error(self, error: openai.APIStatusError, began: float) -> Exception:
        problem = server_errors.from_status(self.spec, error, self._key)
        self.limit.rates.heed(error.response.headers)
        if error.status_code in server_errors.OVERLOADED_STATUSES:
            wait = problem.retry_after if isinstance(problem, TransientTeacherError) else None
            self.limit.overloaded(began, min(wait or 0.0, LONGEST_SERVER_WAIT_SECONDS))
        return problem

    def _read(self, response: Any, latency: float) -> TeacherReply:
        """The reply in a response of status 200, which may be anything."""
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/html"):
            raise server_errors.not_openai(self.spec, kind)
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            raise server_errors.no_choices(self.spec, "it is not JSON") from None
        if not isinstance(body, dict):
            raise server_errors.not_openai(self.spec, f"a JSON {type(body).__name__}")
        choice = _first_choice(body)
        if choice is None:
            said = server_errors.quote(server_errors.words_of(body.get("error")), self._key)
            raise server_errors.no_choices(self.spec, said)
        text, finish_reason = _text_of(choice)
        usage = body.get("usage")
        return TeacherReply(
            text=text,
            finish_reason=finish_reason,
            model=str(body.get("model") or self.spec.model),
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
            latency_seconds=latency,
        )


def _first_choice(body: dict[str, Any]) -> dict[str, Any] | None:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    return choices[0] if isinstance(choices[0].get("message"), dict) else None


def _text_of(choice: dict[str, Any]) -> tuple[str, str]:
    """Text and finish reason. Content may be a string, null, or a list of parts."""
    message = choice["message"]
    finish_reason = str(choice.get("finish_reason") or "")
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    if not content and message.get("refusal"):
        return storable(str(message["refusal"])), "refusal"
    return storable(str(content or "")), finish_reason


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else 0


def request_hash(
    spec: TeacherSpec,
    messages: Sequence[Message],
    attempt: int,
    json_schema: Mapping[str, Any] | None,
    max_tokens: int | None = None,
) -> str:
    """64 hex digits that two requests share only if they may share a stored reply."""
    request = {
        "model": spec.model,
        "messages": list(messages),
        "temperature": spec.temperature,
        "max_tokens": min(spec.max_tokens, max_tokens or spec.max_tokens),
        "json_schema": json_schema,
        "attempt": attempt,
    }
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def cost(spec: TeacherSpec, reply: TeacherReply) -> Decimal:
    """What a reply cost, in the currency of the spec's prices, to eight decimal places."""
    total = (
        reply.prompt_tokens * Decimal(str(spec.price_prompt))
        + reply.completion_tokens * Decimal(str(spec.price_completion))
    ) / TOKENS_PER_PRICE
    return total.quantize(Decimal("1.00000000"))


async def check(spec: TeacherSpec, *, rule: AddressRule | None = None) -> None:
    """Asks the smallest question, once: is the server there, is the key right, is the model known?

    A list of models would not do: some servers give it without a key, others have none.
    Raises as ``Teacher.ask`` does.
    """
    limits = {"tries": 1, "timeout_seconds": min(spec.timeout_seconds, CHECK_SECONDS)}
    teacher = Teacher(TeacherSpec.from_dict(spec.as_dict() | limits), rule=rule)
    try:
        await teacher.ask([{"role": "user", "content": "Say OK."}], max_tokens=CHECK_TOKENS)
    finally:
        await teacher.aclose()
