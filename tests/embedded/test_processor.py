"""Which arithmetic the embedded teacher is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from refinement.embedded import processor, teacher_server
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


@pytest.mark.parametrize(
    ("native", "chosen", "words"),
    [
        (True, "auto", ["serve", "bfloat16"]),
        (False, "auto", ["refinement.embedded.llama_server"]),
        (True, "llama", ["refinement.embedded.llama_server"]),
        (False, "transformers", ["serve", "float32"]),
    ],
)
def test_the_teacher_is_served_by_what_is_quick_on_this_processor(
    native: bool,
    chosen: str,
    words: list[str],
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.EMBEDDED_TEACHER_SERVER = chosen
    monkeypatch.setattr(teacher_server, "multiplies_bfloat16", lambda: native)
    monkeypatch.setattr(teacher_server, "ensure_teacher_file", lambda: tmp_path / "model.gguf")
    monkeypatch.setattr(teacher_server, "find_spec", lambda _: object())
    monkeypatch.setattr(teacher_server, "runs_llama_wheel", lambda: True)
    assert set(words) < set(teacher_server.teacher_command(tmp_path))


@pytest.mark.parametrize(
    ("kind", "flags", "runs"),
    [
        ("x86_64", "sse4_2 avx f16c", False),
        ("x86_64", "avx avx2 fma f16c bmi2", True),
        ("aarch64", "fp asimd", True),
    ],
)
def test_an_old_processor_does_not_run_the_wheel(
    kind: str, flags: str, runs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr(processor, "machine", lambda: kind)
    assert processor.runs_llama_wheel(tmp_path / "cpuinfo") is runs


def test_without_llama_cpp_it_is_transformers(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMBEDDED_TEACHER_SERVER = "auto"
    monkeypatch.setattr(teacher_server, "multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(teacher_server, "find_spec", lambda _: None)
    assert not teacher_server.is_llama()
