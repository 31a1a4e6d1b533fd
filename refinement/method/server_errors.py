"""What a teacher's server did wrong, as one of our errors with a sentence that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refinement.method.errors import (
    MethodError,
    PermanentTeacherError,
    ReplyError,
    TeacherTimeoutError,
    TransientTeacherError,
)
from refinement.method.rate_limits import server_wait

if TYPE_CHECKING:
    import openai

    from refinement.method.addresses import AddressRefusedError
    from refinement.method.specs import TeacherSpec

TRANSIENT_STATUSES = {408, 409, 425, 429}  # and 500 and above
OVERLOADED_STATUSES = {429, 503, 529}
SPENT_CODES = {"insufficient_quota", "billing_hard_limit_reached"}
QUOTED_CHARACTERS = 200


def is_transient(error: openai.APIStatusError) -> bool:
    if error.code in SPENT_CODES:
        return False
    return error.status_code in TRANSIENT_STATUSES or error.status_code >= 500


def from_status(spec: TeacherSpec, error: openai.APIStatusError, key: str) -> MethodError:
    """The error for an HTTP status of 400 or above. ``key`` is struck from what the server said."""
    said = quote(message_of(error), key)
    if is_transient(error):
        return TransientTeacherError(
            _transient_sentence(spec, error.status_code, said),
            retry_after=server_wait(error.response.headers),
        )
    if _is_filtered(error, said):
        return ReplyError("filtered", f"The teacher's content filter refused this sample ({said}).")
    return PermanentTeacherError(_permanent_sentence(spec, error, said))


def from_connection(spec: TeacherSpec, error: openai.APIConnectionError) -> MethodError:
    """The error for a server that could not be reached or hung up.

    The library's message is not quoted: it may hold request headers.
    """
    causes = _cause_names(error)
    if causes & {"UnsupportedProtocol", "InvalidURL"}:
        return bad_url(spec)
    # The library takes each broken connection of aiohttp for a timeout: only the cause is true.
    if causes & {"ServerTimeoutError", "TimeoutError", "ReadTimeout"}:
        return timed_out(spec)
    if causes & {"ClientConnectorError", "ConnectError"}:
        return nothing_answers(spec)
    return TransientTeacherError(
        f"The teacher at {spec.base_url} closed the connection before its answer was complete: "
        "see its log if this goes on."
    )


def nothing_answers(spec: TeacherSpec) -> TransientTeacherError:
    return TransientTeacherError(
        f"Nothing answers at {spec.base_url}: start the teacher's server, or correct the URL."
    )


def refused_address(spec: TeacherSpec, error: AddressRefusedError) -> PermanentTeacherError:
    return PermanentTeacherError(f"The teacher at {spec.base_url} was not asked: {error}")


def timed_out(spec: TeacherSpec) -> TeacherTimeoutError:
    return TeacherTimeoutError(
        f"The teacher at {spec.base_url} did not answer within {spec.timeout_seconds:g} seconds: "
        "raise the endpoint's timeout or lower its concurrency."
    )


def bad_url(spec: TeacherSpec) -> PermanentTeacherError:
    return PermanentTeacherError(
        f"“{spec.base_url}” is not an address of a server: it must begin with http:// or https://."
    )


def not_openai(spec: TeacherSpec, content_type: str) -> PermanentTeacherError:
    kind = content_type.split(";")[0] or "something unknown"
    return PermanentTeacherError(
        f"{spec.base_url} answers with {kind}, not like an OpenAI-compatible server: "
        "check the base URL, which usually ends in /v1."
    )


def no_choices(spec: TeacherSpec, said: str) -> TransientTeacherError:
    detail = f": {said}" if said else ""
    return TransientTeacherError(
        f"The teacher at {spec.base_url} sent an answer without any text in it{detail}."
    )


def missing_key(spec: TeacherSpec) -> PermanentTeacherError:
    return PermanentTeacherError(
        f"The environment variable {spec.api_key_variable}, which holds the key for "
        f"{spec.base_url}, is not set: set it for the teacher's worker and start that again."
    )


def bad_key(spec: TeacherSpec) -> PermanentTeacherError:
    return PermanentTeacherError(
        f"The environment variable {spec.api_key_variable} holds characters that no key has, "
        "such as a space or a line break in its middle: set it again."
    )


def message_of(error: openai.APIStatusError) -> str:
    """What the server itself said, from any of the usual places of an error body."""
    return words_of(error.body) or str(error.message)


def words_of(body: Any) -> str:
    if isinstance(body, dict):
        return words_of(next((body[k] for k in ("message", "detail", "error") if k in body), ""))
    if isinstance(body, list):
        return "; ".join(filter(None, map(words_of, body))) or ""
    return str(body) if isinstance(body, str | int) else ""


def quote(text: str, key: str) -> str:
    """The server's words on one line, cut, and without the key."""
    if key:
        text = text.replace(key, "•••")
    text = " ".join(text.split())
    return text if len(text) <= QUOTED_CHARACTERS else text[: QUOTED_CHARACTERS - 1] + "…"


def _transient_sentence(spec: TeacherSpec, status: int, said: str) -> str:
    if status == 429:
        return f"The teacher at {spec.base_url} takes no more requests for now (429): {said}"
    return f"The teacher at {spec.base_url} failed with status {status}: {said}"


def _permanent_sentence(spec: TeacherSpec, error: openai.APIStatusError, said: str) -> str:
    status = error.status_code
    if error.code in SPENT_CODES or status == 402:
        return f"The account behind {spec.base_url} has no credit left: {said}"
    if status == 401 and not spec.api_key_variable:
        return (
            f"The teacher at {spec.base_url} wants a key (401): name the environment variable "
            "that holds it in the endpoint's settings."
        )
    if status == 401:
        return (
            f"The teacher at {spec.base_url} refused the key in {spec.api_key_variable} (401): "
            "correct that environment variable and start the teacher's worker again."
        )
    if status == 403:
        return f"The teacher at {spec.base_url} forbids this request (403): {said}"
    if _is_about_model(error, said):
        return f"The teacher at {spec.base_url} does not know the model “{spec.model}”: {said}"
    if status == 404:
        return (
            f"{spec.base_url} has no chat completions (404): check the base URL, which usually "
            f"ends in /v1, and the model “{spec.model}”."
        )
    if error.code == "context_length_exceeded" or "context length" in said.lower():
        return f"This sample is too long for the teacher “{spec.model}”: {said}"
    return f"The teacher at {spec.base_url} refused the request ({status}): {said}"


def _is_about_model(error: openai.APIStatusError, said: str) -> bool:
    if error.code == "model_not_found":
        return True
    words = said.lower()
    return error.status_code in {400, 404} and (
        "server is pinned to" in words  # transformers serve
        or ("model" in words and any(w in words for w in ("not exist", "not found", "unknown")))
    )


def _is_filtered(error: openai.APIStatusError, said: str) -> bool:
    return error.status_code in {400, 403} and (
        error.code in {"content_filter", "content_policy_violation"}
        or "content management policy" in said.lower()
    )


def _cause_names(error: BaseException) -> set[str]:
    names: set[str] = set()
    cause: BaseException | None = error
    while cause is not None:
        names |= {kind.__name__ for kind in type(cause).__mro__}
        cause = cause.__cause__ or cause.__context__
    return names
