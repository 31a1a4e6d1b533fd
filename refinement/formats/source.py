"""A file as decoded text, in pieces. Refuses what is no text, and says what it is instead."""

from __future__ import annotations

import codecs
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from refinement.formats.errors import FormatError
from refinement.formats.streams import SIZE_LIMIT, ByteSource

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = 256 * 1024

# A longer mark first: that of UTF-16 is the beginning of that of UTF-32.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

NOT_TEXT = (
    (b"PK\x03\x04", "a zip archive (or a spreadsheet). Unpack it and send the file inside."),
    (b"PK\x05\x06", "an empty zip archive. Send the file itself."),
    (b"\x1f\x8b", "packed twice. Unpack it once and send it again."),
    (b"BZh", "a bzip2 archive. Unpack it, or pack it as .gz or .zst."),
    (b"\xfd7zXZ\x00", "an xz archive. Unpack it, or pack it as .gz or .zst."),
    (b"\x28\xb5\x2f\xfd", "packed twice. Unpack it once and send it again."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive. Unpack it, or pack it as .gz or .zst."),
    (b"%PDF", "a PDF document. Send the data as JSON, CSV or Parquet."),
    (b"SQLite format 3\x00", "an SQLite database. Send the data as JSON, CSV or Parquet."),
    (b"version https://git-lfs", "a Git LFS pointer, not the data. Fetch it with 'git lfs pull'."),
    (b"<!DOCTYPE", "a web page. Download the raw file instead."),
    (b"<!doctype", "a web page. Download the raw file instead."),
    (b"<html", "a web page. Download the raw file instead."),
)
_TAR = (257, b"ustar")  # where a tar archive says that it is one
_HEAD_BYTES = 512


class TextSource:
    """Reads a file once, front to back. ``read_bytes`` tells how far; use as a context manager."""

    def __init__(self, path: Path, size_limit: int = SIZE_LIMIT) -> None:
        self._newlines = 0
        with ExitStack() as opened:
            self._bytes = opened.enter_context(ByteSource(path, size_limit))
            head = self._head()
            self._encoding, mark = _recognise(head)
            opened.pop_all()  # it stays open unless the file is refused
        self._waiting = head[mark:]
        self._decoder = codecs.getincrementaldecoder(self._encoding)("strict")

    @property
    def read_bytes(self) -> int:
        """Of the file as it is stored."""
        return self._bytes.read_bytes

    def _head(self) -> bytes:
        head = b""
        while len(head) < _HEAD_BYTES and (more := self._bytes.read(_HEAD_BYTES - len(head))):
            head += more
        return head

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bytes.close()

    def read(self, size: int = CHUNK_BYTES) -> str:
        """The next text, of about ``size`` bytes; empty at the end. Raises FormatError."""
        while data := self._waiting or self._bytes.read(size):
            self._waiting = b""
            if text := self._decode(data, final=False):
                return text
        return self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> str:
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            raise self._not_decodable(error, at_end=final) from None
        self._newlines += text.count("\n")
        return text

    def _not_decodable(self, error: UnicodeDecodeError, *, at_end: bool) -> FormatError:
        good = error.object[: error.start].decode(self._encoding, "replace")
        line = 1 + self._newlines + good.count("\n")
        if at_end:
            return FormatError(
                line, "the file ends in the middle of a character: it was cut off. Send all of it."
            )
        byte = error.object[error.start]
        return FormatError(
            line,
            f"not valid {self._encoding.upper()} text (byte 0x{byte:02X}). "
            "Save the file as UTF-8 and upload it again.",
        )


def _recognise(head: bytes) -> tuple[str, int]:
    """The encoding, and the length of the byte order mark. Raises FormatError."""
    if not head:
        raise FormatError(None, "The file is empty.")
    for magic, what in NOT_TEXT:
        if head.startswith(magic):
            raise FormatError(None, f"The file is {what}")
    if head[_TAR[0] :].startswith(_TAR[1]):
        raise FormatError(None, "The file is a tar archive. Unpack it and send the files inside.")
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    if b"\x00" in head[:4]:
        raise FormatError(
            None,
            "The file is not UTF-8 text: it looks like UTF-16 without a byte order mark, "
            "or like a binary file. Save it as UTF-8 and upload it again.",
        )
    return "utf-8", 0
