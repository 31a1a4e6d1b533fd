"""Bytes to text: encodings, and files that are no text at all."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from typing import TYPE_CHECKING

import pytest

from refinement.formats.registry import FormatError, Record
from refinement.formats.source import TextSource
from tests.formats.conftest import alpaca, lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[..., list[object]]

TEXT = "Grüße, 世界 — 🎈"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom", "utf-32"]
)
def test_unicode_encodings_are_read_alike(read: Read, encoding: str) -> None:
    text = json.dumps([alpaca(TEXT), alpaca("b")], ensure_ascii=False, indent=1)
    if encoding.endswith("-bom"):
        content = ("\ufeff" + text).encode(encoding.removesuffix("-bom"))
    else:
        content = text.encode(encoding)
    first, second = read(content)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert first.pair.instruction == TEXT
    assert (first.line, second.line) == (2, 7)


def test_latin_1_is_refused_with_its_line(read: Read) -> None:
    content = lines(alpaca(), alpaca()).encode() + b'{"instruction": "Gr\xfc\xdfe", "output": ""}\n'
    with pytest.raises(FormatError) as caught:
        read(content)
    assert str(caught.value) == (
        "Line 3: not valid UTF-8 text (byte 0xFC). Save the file as UTF-8 and upload it again."
    )


def test_a_line_far_into_a_large_file_is_counted_right(read: Read) -> None:
    content = lines(*[alpaca("x" * 990)] * 1500).encode() + b"\xff"
    with pytest.raises(FormatError, match=r"^Line 1501: not valid UTF-8"):
        read(content)


def test_a_file_cut_within_a_character_says_so(read: Read) -> None:
    with pytest.raises(FormatError, match=r"^Line 2: the file ends in the middle of a character"):
        read((lines(alpaca()) + '{"instruction": "ü').encode()[:-1])


def test_utf_16_without_a_mark_is_named(read: Read) -> None:
    with pytest.raises(FormatError, match="UTF-16 without a byte order mark"):
        read(json.dumps([alpaca()]).encode("utf-16-le"))


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.json", json.dumps([alpaca()]))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped(), "a zip archive"),
        (gzip.compress(gzip.compress(b"[]")), "packed twice"),
        (bz2.compress(b"[]"), "a bzip2 archive"),
        (lzma.compress(b"[]"), "an xz archive"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"\x00" * 257 + b"ustar" + b"\x00" * 250, "a tar archive"),
        (b"SQLite format 3\x00\x10", "an SQLite database"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # packed bytes hold the time
)
def test_another_kind_of_file_is_named(read: Read, content: bytes, what: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(content)
    assert str(caught.value).startswith(f"The file is {what}")
    assert caught.value.line is None


def test_an_empty_file_is_named(read: Read) -> None:
    with pytest.raises(FormatError, match=r"^The file is empty\.$"):
        read("")


def test_only_a_byte_order_mark_is_no_record(read: Read) -> None:
    with pytest.raises(FormatError, match="nothing but blank lines"):
        read(b"\xef\xbb\xbf\n\n")


def test_read_bytes_ends_at_the_size(write: Callable[[str], Path]) -> None:
    path = write("x" * 1_000_000)
    seen = []
    with TextSource(path) as source:
        while source.read():
            seen.append(source.read_bytes)
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert seen[-1] == 1_000_000
