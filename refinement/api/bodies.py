"""Bodies that are plain bytes, read as a stream and never held in memory."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.core.files import File

from refinement.api.auth import Request
from refinement.api.problems import Refused
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    BytesFile = File[bytes]
else:
    BytesFile = File

ANY_BYTES = {
    "requestBody": {
        "required": True,
        "description": "The bytes themselves, with their Content-Length.",
        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
    }
}


def length_of(request: Request) -> int:
    """Raises Refused (411) where nobody said it."""
    length = request.META.get("CONTENT_LENGTH", "")
    if not length.isdigit():
        raise Refused(411, "Send the size as Content-Length.")
    return int(length)


class StreamedBody(BytesFile):
    """The body of a request as a file that is read once, in chunks."""

    def __init__(self, request: Request) -> None:
        super().__init__(None, name="upload")
        self._request = request
        self._size = length_of(request)

    @property
    def size(self) -> int:
        return self._size

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        left = self._size
        while left > 0:
            chunk = self._request.read(min(left, chunk_size or self.DEFAULT_CHUNK_SIZE))
            if not chunk:
                raise ServiceError("The upload was cut off half-way. Nothing was stored.")
            left -= len(chunk)
            yield chunk
