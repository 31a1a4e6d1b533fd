"""Files that lie on the server already: a folder that admins may import from, where one is set.

Names come from a browser, so every one is resolved, links and all, and must then still lie within
the folder; so must whatever a dataset folder refers to.
"""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.files import File
from django.utils.translation import gettext

from refinement.formats.errors import FormatError
from refinement.formats.folders import data_files, write_as_one
from refinement.services.datasets import create_dataset
from refinement.services.errors import ServiceError
from refinement.services.uploads import disk_sentence, refuse_too_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refinement.models import Dataset, Project, User

MOST_ENTRIES = 500  # of one folder that are listed


@dataclass(frozen=True, slots=True)
class Entry:
    """``path`` is what names it, from the server's folder on."""

    name: str
    path: str
    is_folder: bool
    size_bytes: int


def is_open() -> bool:
    return bool(settings.IMPORT_FOLDER)


def entries(name: str = "") -> list[Entry]:
    """What lies in a folder within the server's folder: folders first. Raises ServiceError."""
    place = _place_of(name)
    if not place.is_dir():
        raise ServiceError(gettext("This is a file, not a folder."))
    found = [entry for path in place.iterdir() if (entry := _entry(path, name)) is not None]
    return sorted(found, key=lambda e: (not e.is_folder, e.name.casefold()))[:MOST_ENTRIES]


def take_in(
    *, project: Project, user: User | None, name: str, split: str = "", called: str = ""
) -> Dataset:
    """A draft dataset of a file, or of a Hugging Face dataset folder. ``called``: its name.

    The file is copied: what lies on the server may change. Raises ServiceError.
    """
    place = _place_of(name)
    if not place.is_dir():
        return _take_in_file(place, project=project, user=user, called=called)
    with tempfile.TemporaryDirectory(
        prefix="srt-folder-", dir=settings.FILE_UPLOAD_TEMP_DIR
    ) as scratch:
        target = Path(scratch) / place.name
        try:
            files = _held_within(data_files(place, split))
            refuse_too_large(sum(path.stat().st_size for path in files))
            write_as_one(files, target)
        except FormatError as error:
            raise ServiceError(str(error)) from error
        except OSError as error:
            raise ServiceError(disk_sentence(error)) from error
        return _take_in_file(target, project=project, user=user, called=called)


def _take_in_file(place: Path, *, project: Project, user: User | None, called: str) -> Dataset:
    try:
        # It was resolved, so a link in its place is new; and a pipe must not keep us waiting.
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ServiceError(
            gettext("“%(name)s” cannot be read (%(reason)s).")
            % {"name": place.name, "reason": error.strerror}
        ) from error
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ServiceError(gettext("“%(name)s” is no file.") % {"name": place.name})
        return create_dataset(
            project=project,
            name=called,
            upload=File(file),
            filename=place.name,
            user=user,
            draft=True,
        )


def _root() -> Path:
    return Path(settings.IMPORT_FOLDER).resolve()


def _place_of(name: str) -> Path:
    """Where ``name`` leads. Raises ServiceError for what is not there, or not in the folder."""
    root = _root()
    try:
        place = (root / name).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # missing, a loop of links, a NUL
        place = root.parent
    if not is_open() or not place.is_relative_to(root):
        raise ServiceError(
            gettext("There is no “%(name)s” in the server's folder.") % {"name": name}
        )
    return place


def _entry(path: Path, within: str) -> Entry | None:
    """``None`` for what is not shown: hidden, no file, leading out, or without permission."""
    if path.name.startswith("."):
        return None
    try:
        place = path.resolve(strict=True)
        about = place.stat()
    except (OSError, RuntimeError):
        return None
    is_folder = stat.S_ISDIR(about.st_mode)
    if not place.is_relative_to(_root()) or not (is_folder or stat.S_ISREG(about.st_mode)):
        return None
    inner = (Path(within) / path.name).as_posix()
    return Entry(path.name, inner, is_folder, about.st_size)


def _held_within(files: Sequence[Path]) -> list[Path]:
    """The data files of a folder, none of which may lead out. Raises ServiceError."""

    def leads_out(path: Path) -> bool:
        return not path.resolve().is_relative_to(_root())

    for path in filter(leads_out, files):
        raise ServiceError(
            gettext("“%(name)s” leads out of the server's folder.") % {"name": path.name}
        )
    return list(files)
