"""What this machine's processor is good at, told without loading torch."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}  # the last one on Arm


def multiplies_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether bfloat16 is multiplied in hardware. Where nothing tells, as on macOS: no."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return not BFLOAT16_FLAGS.isdisjoint(next(flags, "").split())
