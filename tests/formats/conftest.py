"""Reading what a test wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from refinement.formats.registry import Record, Rejected, read_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Write = "Callable[[str | bytes], Path]"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes a file and returns its path. The name says nothing about the content."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "upload.bin"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def read(write: Callable[[str | bytes], Path]) -> Callable[..., list[Record | Rejected]]:
    """Writes a file and reads its records."""

    def read(content: str | bytes, **options: Any) -> list[Record | Rejected]:
        return list(read_records(write(content), **options))

    return read


def alpaca(instruction: str = "Add 2 and 2.", output: str = "4", **fields: Any) -> dict[str, Any]:
    return {"instruction": instruction, "input": "", "output": output, **fields}


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)
