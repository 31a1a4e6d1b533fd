"""Which GPU each student process gets: one of its own, as far as there are enough."""

from __future__ import annotations

import os
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder a GPU; none of torch has to be loaded


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES names; without it, every GPU of the machine by its number."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(number) for number, _ in enumerate(DRIVER.iterdir())] if DRIVER.is_dir() else []


def gpu_of(number: int) -> dict[str, str]:
    """The environment by which student process ``number``, from 0, sees its GPU and no other.

    Where there are more processes than GPUs they share them in turn.
    """
    gpus = visible_gpus()
    return {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}
