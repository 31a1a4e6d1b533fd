"""Receiving a file: to disk, never to memory, and no further than the limit or the disk allow.

What stopped an upload is kept on the request, so that the form can say it beside the field; the
rest of the body is read and thrown away, because a browser shows no page to a connection that was
cut while it sends.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext

if TYPE_CHECKING:
    from django.http import HttpRequest

REFUSAL = "srt.upload_refusal"  # the key in request.META
_RESERVE = 64 * 1024**2  # bytes that an upload leaves free on the disk


class LimitedUploadHandler(TemporaryFileUploadHandler):
    """Refuses what is too large before it is read, as far as its length is announced."""

    def handle_raw_input(
        self,
        input_data: IO[bytes],
        META: dict[str, str],  # noqa: N803 - Django's name
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> tuple[Any, Any] | None:
        self.announced = content_length
        self.received = 0
        return super().handle_raw_input(input_data, META, content_length, boundary, encoding)

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        folder = settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir()
        if self.announced > settings.UPLOAD_LIMIT_BYTES + 1024**2:
            self._refuse(_too_large(self.announced))
        if self.announced + _RESERVE > shutil.disk_usage(folder).free:
            self._refuse(_disk_full(folder))
        super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self.received += len(raw_data)
        if self.received > settings.UPLOAD_LIMIT_BYTES:
            self._refuse(_too_large(self.received))
        try:
            return super().receive_data_chunk(raw_data, start)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._refuse(_disk_full(str(Path(self.file.temporary_file_path()).parent)))
            return None

    def _refuse(self, sentence: str) -> None:
        assert self.request is not None  # noqa: S101 - Django makes handlers with their request
        self.request.META[REFUSAL] = sentence
        raise SkipFile(sentence)


def refusal_of(request: HttpRequest) -> str:
    """Why the file of this request was not taken; empty where nothing was refused."""
    return str(request.META.get(REFUSAL, ""))


def _too_large(size: int) -> str:
    limit = filesizeformat(settings.UPLOAD_LIMIT_BYTES)
    return gettext(
        "The file has %(size)s; the limit is %(limit)s. Split it, and upload the parts."
    ) % {"size": filesizeformat(size), "limit": limit}


def _disk_full(folder: str) -> str:
    return gettext(
        "The server's disk has no room left for this file (in %(folder)s). Nothing was stored. "
        "Ask whoever runs the server to free some space, then upload again."
    ) % {"folder": folder}
