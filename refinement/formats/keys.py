"""Which of very many keys came before, with the keys on the disk and not in memory."""

from __future__ import annotations

import tempfile
from array import array
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HELD = 65_536  # keys


class Keys:
    """64-bit hashes in their order."""

    def __init__(self) -> None:
        self._held = array("Q")
        self._file = tempfile.TemporaryFile(prefix="srt-keys-")  # noqa: SIM115 - as long as we live
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, key: int) -> None:
        """Any Python hash: its lowest 64 bits count."""
        self._held.append(key & 0xFFFFFFFFFFFFFFFF)
        self._count += 1
        if len(self._held) == _HELD:
            self._held.tofile(self._file)
            del self._held[:]

    def extend(self, keys: NDArray[np.uint64]) -> None:
        self._held.frombytes(np.ascontiguousarray(keys).tobytes())
        self._count += len(keys)
        if len(self._held) >= _HELD:
            self._held.tofile(self._file)
            del self._held[:]

    def repeated(self) -> NDArray[np.bool_]:
        """For each key, whether an earlier one is the same. 25 bytes a key while it is found."""
        self._held.tofile(self._file)
        del self._held[:]
        self._file.flush()
        self._file.seek(0)
        keys = np.fromfile(self._file, dtype=np.uint64)
        found = np.ones(len(keys), dtype=bool)
        found[np.unique(keys, return_index=True)[1]] = False
        return found
