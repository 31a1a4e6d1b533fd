"""The bytes of a file, unpacked on the way where it is a .gz or .zst, never more than a limit.

How a file is packed is told by its first bytes, not by its name.
"""

from __future__ import annotations

import gzip
import zlib
from typing import IO, TYPE_CHECKING, Any, Self

from refinement.formats.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SIZE_LIMIT = 5 * 1024**3  # bytes of a file once it is unpacked
_DAMAGED = "The packed file is damaged or was cut off. Pack it again and send all of it."


class ByteSource:
    """Reads a file once, front to back. Raises FormatError; use as a context manager.

    ``read_bytes`` is the place in the file as it is stored; ``size_limit`` bounds what is unpacked.
    """

    def __init__(self, path: Path, size_limit: int = SIZE_LIMIT) -> None:
        self._file = path.open("rb")
        magic = self._file.read(4)
        self._file.seek(0)
        self.packed = magic.startswith(GZIP) or magic == ZSTD
        self._stream = _unpacking(self._file, magic)
        self._limit = size_limit
        self._given = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def read_bytes(self) -> int:
        return 0 if self._file.closed else self._file.tell()

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none only at the end."""
        try:
            data: bytes = self._stream.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise FormatError(None, _DAMAGED) from None
        except OSError as error:
            if self.packed and error.errno is None:  # pyarrow's word for a broken stream
                raise FormatError(None, _DAMAGED) from None
            raise
        self._given += len(data)
        if self.packed and self._given > self._limit:
            raise FormatError(
                None,
                f"The file unpacks to more than {self._limit:,} bytes, the limit for one file. "
                "Split it, and send the parts.",
            )
        return data


def _unpacking(file: IO[bytes], magic: bytes) -> Any:
    if magic.startswith(GZIP):
        return gzip.GzipFile(fileobj=file)
    if magic == ZSTD:
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
    return file
