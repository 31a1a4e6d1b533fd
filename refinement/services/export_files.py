"""The files of a ready export: their names, one of them, or all as a zip archive."""

from __future__ import annotations

import io
import mimetypes
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from django.utils.text import slugify

from refinement.services.exports import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.models import Export

CHUNK = 256 * 1024
_TYPES = {".jsonl": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet"}


def file_stem(export: Export) -> str:
    """How the files are called on somebody's disk."""
    name = export.run.name if export.run else export.source.name
    return f"{slugify(name) or 'pairs'}-export-{export.pk}"


def names_of(export: Export) -> list[str]:
    """The files of a ready export, the data first."""
    folder = folder_of(export)
    if "files" not in export.manifest:  # written by an earlier version: one file and no folder
        return [Path(export.file.path).name]
    data = [file["name"] for file in export.manifest["files"]]
    papers = ("README.md", "dataset_info.json", "manifest.json")
    return [*data, *(name for name in papers if (folder / name).is_file())]


def path_of(export: Export, name: str) -> Path | None:
    """Where the file lies; ``None``: there never was one of that name."""
    return folder_of(export) / name if name in names_of(export) else None


def media_type(name: str) -> str | None:
    return _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]


def zip_of(export: Export) -> Iterator[bytes]:
    """A folder that ``datasets.load_dataset`` and LLaMA-Factory read as it is.

    Stored, not packed, in constant memory; the same bytes at every download. Raises
    FileNotFoundError at once where a file is gone.
    """
    folder, stem = folder_of(export), file_stem(export)
    paths = [folder / name for name in names_of(export)]
    for path in paths:
        path.stat()
    return _zip(paths, stem)


class _Outlet(io.RawIOBase):
    """What a ZipFile writes, to be taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def _zip(paths: list[Path], folder: str) -> Iterator[bytes]:
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            entry = zipfile.ZipInfo(f"{folder}/{path.name}")  # of 1980: no time of its own
            entry.external_attr = 0o644 << 16
            with path.open("rb") as file, archive.open(entry, "w", force_zip64=True) as member:
                while piece := file.read(CHUNK):
                    member.write(piece)
                    yield outlet.take()
            yield outlet.take()
    yield outlet.take()
