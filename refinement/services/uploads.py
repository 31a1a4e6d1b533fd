"""Taking a file in: hashed and counted while it is written, removed again if that fails."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.files import File
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext

from refinement.services.errors import ServiceError
from refinement.services.on_disk import SYNC_BYTES, sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

    BytesFile = File[bytes]
else:
    BytesFile = File

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """``place`` is the name within the storage."""

    place: str
    sha256: str
    size_bytes: int


class _Measured(BytesFile):
    """Passes an upload's chunks on to the storage, which writes each to ``target`` before it asks
    for the next; counts and hashes them."""

    def __init__(self, upload: File[bytes], target: Path) -> None:
        super().__init__(upload.file, name=upload.name)
        self._upload = upload
        self._target = target
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        synced = 0
        for chunk in self._upload.chunks(chunk_size or CHUNK_BYTES):
            self.size_bytes += len(chunk)
            refuse_too_large(self.size_bytes)
            self._hash.update(chunk)
            yield chunk
            if self.size_bytes - synced >= SYNC_BYTES:
                sync(self._target)
                synced = self.size_bytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def store_upload(upload: File[bytes], *, storage: Storage, place: str) -> StoredUpload:
    """Write ``upload`` to ``place``, a name not yet taken, without holding it in memory.

    Raises ServiceError for an empty file, one above ``settings.UPLOAD_LIMIT_BYTES``, or a disk that
    does not take it; then nothing is left behind.
    """
    if not upload.size:
        raise ServiceError(gettext("The file is empty. Choose another one."))
    refuse_too_large(upload.size)
    target = Path(storage.path(place))
    measured = _Measured(upload, target)
    try:
        stored = storage.save(place, measured)
        sync(target)
        sync(target.parent)
    except OSError as error:
        storage.delete(place)
        raise ServiceError(disk_sentence(error)) from error
    except ServiceError:
        storage.delete(place)
        raise
    return StoredUpload(place=stored, sha256=measured.sha256, size_bytes=measured.size_bytes)


def refuse_too_large(size: int) -> None:
    """Raises ServiceError."""
    limit = settings.UPLOAD_LIMIT_BYTES
    if size > limit:
        raise ServiceError(
            gettext(
                "The file is larger than the %(limit)s that this server takes. Split it, or "
                "ask the admin to raise SRT_UPLOAD_LIMIT_BYTES."
            )
            % {"limit": filesizeformat(limit)}
        )


def disk_sentence(error: OSError) -> str:
    """What went wrong on the disk, for the user."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return gettext("The server's disk is full, so the file was not stored. Tell the admin.")
    return gettext("The server could not store the file (%(reason)s). Tell the admin.") % {
        "reason": error.strerror
    }
