"""The connections to a teacher's server: its address, how the key is sent, how many there are."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx2
import openai

from refinement.method.addresses import guard

if TYPE_CHECKING:
    from refinement.method.addresses import AddressRule
    from refinement.method.specs import TeacherSpec

AZURE_DOMAINS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
AZURE_VERSION = "api-version"  # the parameter that its addresses carry, and the only one we take
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
    http_client = _transport()(trust_env=not loopback, limits=limits)
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


def _transport() -> type[httpx2.AsyncClient]:
    """An environment from before aiohttp was needed is slower, not broken."""
    has_aiohttp = find_spec("aiohttp") is not None
    return openai.DefaultAioHttpClient if has_aiohttp else openai.DefaultAsyncHttpxClient


def request_options(spec: TeacherSpec, key: str) -> openai.RequestOptions:
    """How a request carries ``key``, where it is not as a bearer's."""
    if not key or not is_azure(spec.base_url):
        return {}
    return {"headers": {"api-key": key, "Authorization": openai.Omit()}}


def is_azure(base_url: str) -> bool:
    """Azure's servers want the key in a header of their own."""
    url = urlsplit(base_url)
    named = {name for name, _ in parse_qsl(url.query)}
    return AZURE_VERSION in named or (url.hostname or "").endswith(AZURE_DOMAINS)
