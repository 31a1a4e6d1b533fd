"""A file as decoded text, in pieces. Refuses what is no text, and says what it is instead."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Self

from refinement.formats.errors import FormatError

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
    (b"PK\x03\x04", "a zip archive (or a spreadsheet). Unpack it and send the JSON file inside."),
    (b"PK\x05\x06", "an empty zip archive. Send the JSON file itself."),
    (b"\x1f\x8b", "a gzip archive. Unpack it and send the JSON file inside."),
    (b"BZh", "a bzip2 archive. Unpack it and send the JSON file inside."),
    (b"\xfd7zXZ\x00", "an xz archive. Unpack it and send the JSON file inside."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive. Unpack it and send the JSON file inside."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive. Unpack it and send the JSON file inside."),
    (b"%PDF", "a PDF document. Send the data as JSON."),
    (b"PAR1", "a Parquet file. Convert it to JSON Lines first."),
    (b"ARROW1", "an Arrow file. Convert it to JSON Lines first."),
    (b"SQLite format 3\x00", "an SQLite database. Send the data as JSON."),
    (b"version https://git-lfs", "a Git LFS pointer, not the data. Fetch it with 'git lfs pull'."),
    (b"<!DOCTYPE", "a web page. Download the raw file instead."),
    (b"<!doctype", "a web page. Download the raw file instead."),
    (b"<html", "a web page. Download the raw file instead."),
)


class TextSource:
    """Reads a file once, front to back. ``read_bytes`` tells how far; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.read_bytes = 0
        self._newlines = 0
        try:
            self._encoding, mark = _recognise(self._file.read(64))
        except FormatError:
            self._file.close()
            raise
        self._file.seek(mark)
        self._decoder = codecs.getincrementaldecoder(self._encoding)("strict")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = CHUNK_BYTES) -> str:
        """The next text, of about ``size`` bytes; empty at the end. Raises FormatError."""
        while data := self._file.read(size):
            self.read_bytes = self._file.tell()
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
