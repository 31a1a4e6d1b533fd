"""A file that arrives in chunks, and goes on where it stopped: after a lost connection, a reload of
the page, or a restart of the server.

The database says how much of it counts, and only what is on the disk does; what a killed request
wrote beyond that is overwritten.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from django.conf import settings
from django.db import transaction
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext

from refinement.models import Dataset, Upload
from refinement.services import audit
from refinement.services.datasets import clean_filename, clean_name, new_place
from refinement.services.errors import ServiceError
from refinement.services.on_disk import sync
from refinement.services.uploads import disk_sentence, refuse_too_large

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from refinement.models import Project, User

CHUNK_BYTES = 8 * 1024**2  # what a browser sends at a time
KEPT_FOR = timedelta(days=7)  # an upload that nobody goes on with
_PIECE = 256 * 1024
_RESERVE = 64 * 1024**2  # bytes that an upload leaves free on the disk


class Body(Protocol):
    """What bytes are read from: a request, or a file."""

    def read(self, size: int, /) -> bytes: ...


class WrongPlace(Exception):  # noqa: N818 - the sender only has to look where it stands
    """A chunk does not begin where the upload ends. ``received`` says where that is."""

    def __init__(self, received: int) -> None:
        super().__init__(f"{received} bytes are here")
        self.received = received


def begin_upload(
    *, project: Project, user: User, filename: str, size_bytes: int, modified: int = 0
) -> Upload:
    """A place for a file of ``size_bytes``, or the one where this very file stopped.

    Raises ServiceError for an empty or too large file, or a disk without room for it.
    """
    if size_bytes < 1:
        raise ServiceError(gettext("The file is empty. Choose another one."))
    refuse_too_large(size_bytes)
    forget_stale_uploads()
    filename = clean_filename(filename)
    clean_name("", filename)
    known = unfinished_uploads(project, user).filter(
        filename=filename, size_bytes=size_bytes, modified=modified
    )
    upload = known.first()
    if upload is not None and part_of(upload).exists():
        return upload
    _check_room(size_bytes)
    upload = Upload(
        project=project, user=user, filename=filename, size_bytes=size_bytes, modified=modified
    )
    part_of(upload).parent.mkdir(parents=True, exist_ok=True)
    part_of(upload).touch()
    upload.save(force_insert=True)
    return upload


def unfinished_uploads(project: Project, user: User) -> QuerySet[Upload]:
    return Upload.objects.filter(project=project, user=user)


def part_of(upload: Upload) -> Path:
    """Where the bytes gather. Nothing of the user's own name is in it."""
    return Path(Dataset().file.storage.path(f"uploads/{upload.pk.hex}.part"))


def receive_chunk(*, upload: Upload, offset: int, body: Body, length: int) -> int:
    """Add a chunk; returns how much of the file is here now.

    A body that breaks off counts as far as it came. Raises WrongPlace, or ServiceError where the
    chunk is longer than the file or the disk does not take it.
    """
    if offset != upload.received_bytes:
        raise WrongPlace(upload.received_bytes)
    if offset + length > upload.size_bytes:
        raise ServiceError(gettext("More was sent than the file has. Choose the file again."))
    try:
        received = offset + _write(part_of(upload), offset, body, length)
    except FileNotFoundError:
        upload.delete()
        raise ServiceError(gettext("This upload is gone. Choose the file again.")) from None
    except OSError as error:
        if error.errno is None:  # not the disk: the sender is gone
            raise
        raise ServiceError(disk_sentence(error)) from error
    ours = Upload.objects.filter(pk=upload.pk, received_bytes=offset)
    if not ours.update(received_bytes=received, updated_at=timezone.now()):
        upload.refresh_from_db()
        raise WrongPlace(upload.received_bytes)
    upload.received_bytes = received
    return received


def _write(path: Path, offset: int, body: Body, length: int) -> int:
    written = 0
    with path.open("r+b") as file:
        file.seek(offset)
        while written < length:
            piece = body.read(min(_PIECE, length - written))
            if not piece:
                break
            file.write(piece)
            written += len(piece)
    sync(path)
    return written


def finish_upload(*, upload: Upload, name: str = "") -> Dataset:
    """Make a draft dataset of a file that is here whole. Raises ServiceError."""
    if upload.received_bytes != upload.size_bytes:
        raise ServiceError(
            gettext("The file is not here whole. Choose it again, and the rest is sent.")
        )
    name = clean_name(name, upload.filename)
    storage, place = Dataset().file.storage, new_place()
    target = Path(storage.path(place))
    target.parent.mkdir(parents=True, exist_ok=True)
    with transaction.atomic():
        gone, _ = Upload.objects.filter(pk=upload.pk).delete()
        if not gone:
            raise ServiceError(gettext("This file was stored already."))
        dataset = Dataset.objects.create(
            project=upload.project,
            name=name,
            file=place,
            filename=upload.filename,
            size_bytes=upload.size_bytes,
            status=Dataset.Status.DRAFT,
            created_by=upload.user,
        )
        audit.record("dataset.uploaded", dataset, user=upload.user)
        part_of(upload).replace(target)  # last: it is undone by nothing
        sync(target.parent)
    return dataset


def drop_upload(*, upload: Upload) -> None:
    """Forget an upload and what came of it."""
    part_of(upload).unlink(missing_ok=True)
    Upload.objects.filter(pk=upload.pk).delete()


def forget_stale_uploads() -> None:
    """Drop what nobody went on with for a week."""
    for upload in Upload.objects.filter(updated_at__lt=timezone.now() - KEPT_FOR):
        drop_upload(upload=upload)


def _check_room(size_bytes: int) -> None:
    folder = Path(settings.MEDIA_ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size_bytes + _RESERVE > free:
        raise ServiceError(
            gettext(
                "The server's disk has no room for this file: %(free)s are free. Ask whoever "
                "runs the server to make some."
            )
            % {"free": filesizeformat(free)}
        )
