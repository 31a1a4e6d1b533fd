"""Which arithmetic the embedded teacher is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from refinement.embedded import teacher_server
from refinement.embedded.processor import multiplies_bfloat16

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "native"),
    [
        ("flags\t\t: fpu sse avx2 avx512f amx_bf16 amx_tile", True),
        ("flags\t\t: fpu avx512_bf16", True),
        ("Features\t: fp asimd i8mm bf16", True),
        ("flags\t\t: fpu sse avx2 avx512f", False),
        ("model name\t: bf16 in a name only", False),
        ("", False),
    ],
)
def test_bfloat16_is_native_where_the_flags_say_so(line: str, native: bool, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{line}\n")
    assert multiplies_bfloat16(cpuinfo) is native


def test_without_the_file_it_is_not(tmp_path: Path) -> None:
    assert multiplies_bfloat16(tmp_path / "absent") is False


@pytest.mark.parametrize(("native", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_the_teacher_multiplies_in_what_the_processor_can(
    native: bool, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_server, "multiplies_bfloat16", lambda: native)
    command = teacher_server.teacher_command(tmp_path)
    assert command[command.index("--dtype") + 1] == dtype
