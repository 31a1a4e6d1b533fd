"""The connections to a teacher's server: its address, how the key is sent, how many there are."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx2
import openai

from refinement.method.addresses import guard

if TYPE_CHECKING:
    from refinement.method.addresses import AddressRule
    from refinement.method.specs import TeacherSpec

AZURE_DOMAINS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
AZURE_VERSION = "api-version"  # the parameter that its addresses carry, and the only one we take
ABOUT_US = tuple(
    f"x-stainless-{name}"
    for name in (
        *("lang", "package-version", "os", "arch", "runtime", "runtime-version", "async"),
        *("retry-count", "read-timeout"),
    )
)
KEEP_SECONDS = 30.0  # an idle connection is kept for the next question


def open_client(spec: TeacherSpec, key: str, rule: AddressRule | None) -> openai.AsyncOpenAI:
    """A client for the server at ``spec.base_url`` that never retries by itself.

    ``rule`` says which addresses it may connect to; None: any.

    It goes through aiohttp: with hundreds of requests under way the pool of the default transport
    takes longer for each than the rest of the client.
    """
    url = urlsplit(spec.base_url)
    loopback = url.hostname in {"localhost", "127.0.0.1", "::1"}
    limits = httpx2.Limits(
        max_connections=spec.max_concurrency,
        max_keepalive_connections=spec.max_concurrency,
        keepalive_expiry=KEEP_SECONDS,
    )
    # A proxy named in the environment never leads to this machine.
    http_client = _client_class()(trust_env=not loopback, limits=limits)
    if rule is not None:
        guard(http_client, rule)
    return openai.AsyncOpenAI(
        base_url=urlunsplit(url._replace(query="")),
        api_key=key or "none",
        default_query=dict(parse_qsl(url.query)),
        max_retries=0,
        timeout=spec.timeout_seconds,
        http_client=http_client,
    )


def _client_class() -> type[httpx2.AsyncClient]:
    """An environment from before aiohttp was needed is slower, not broken."""
    has_aiohttp = find_spec("aiohttp") is not None
    return _OneAddressClient if has_aiohttp else openai.DefaultAsyncHttpxClient


@lru_cache(maxsize=64)
def _taken_apart(address: str) -> httpx2.URL:
    return httpx2.URL(address)


class _OneAddressClient(openai.DefaultAioHttpClient):
    """Takes apart the one address it asks once, and merges no headers: 15 % of a question's CPU.

    Of the client's own headers only the accepted encodings are not set for each question anyhow.
    """

    def build_request(
        self,
        method: str,
        url: httpx2.URL | str,
        *,
        content: Any = None,
        headers: Any = None,
        timeout: Any = None,
        **options: Any,
    ) -> httpx2.Request:
        plain = isinstance(content, bytes) and isinstance(timeout, int | float)
        if not plain or any(options.values()):
            return super().build_request(
                method, url, content=content, headers=headers, timeout=timeout, **options
            )
        return httpx2.Request(
            method,
            _taken_apart(str(url)),
            headers=[("accept-encoding", self.headers["accept-encoding"]), *headers],
            cookies=self.cookies,
            content=content,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)},
        )


def request_options(spec: TeacherSpec, key: str) -> openai.RequestOptions:
    """The headers of each question: the key where it is not a bearer's, and none about us.

    The client tells servers about this machine and its retries in nine headers, which cost time in
    each of its layers, and which no server needs.
    """
    headers: dict[str, str | openai.Omit] = dict.fromkeys(ABOUT_US, openai.Omit())
    if key and is_azure(spec.base_url):
        headers |= {"api-key": key, "Authorization": openai.Omit()}
    return {"headers": headers}


def is_azure(base_url: str) -> bool:
    """Azure's servers want the key in a header of their own."""
    url = urlsplit(base_url)
    named = {name for name, _ in parse_qsl(url.query)}
    return AZURE_VERSION in named or (url.hostname or "").endswith(AZURE_DOMAINS)
