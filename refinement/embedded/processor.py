"""What this machine's processor is good at, told without loading torch."""

from __future__ import annotations

from pathlib import Path
from platform import machine

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}  # the last one on Arm
LLAMA_FLAGS = {"avx2", "fma", "f16c", "bmi2"}


def multiplies_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether bfloat16 is multiplied in hardware. Where nothing tells, as on macOS: no."""
    return not BFLOAT16_FLAGS.isdisjoint(_flags(cpuinfo))


def runs_llama_wheel(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the wheel of llama.cpp runs here: on x86 it is built for AVX2, FMA and F16C."""
    return machine() not in {"x86_64", "AMD64"} or set(_flags(cpuinfo)) >= LLAMA_FLAGS


def _flags(cpuinfo: Path) -> list[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return []
    flags = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return next(flags, "").split()
