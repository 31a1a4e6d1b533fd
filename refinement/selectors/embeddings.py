"""Where the pairs of a run lie among the subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refinement.models import Embedding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refinement.models import Run

_KINDS = (None, "instruction", "response")  # by version
_CHUNK = 5_000


def embeddings_of(
    run: Run, ids: NDArray[np.int64], versions: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """The unit vectors of these samples' versions, shape (n, d); zeros where there is none."""
    place = {
        (int(pk), _KINDS[v]): row for row, (pk, v) in enumerate(zip(ids, versions, strict=True))
    }
    found: NDArray[np.float32] | None = None
    for start in range(0, len(ids), _CHUNK):
        rows = Embedding.objects.filter(
            score__run_sample__in=[int(pk) for pk in ids[start : start + _CHUNK]],
            score__run_sample__run=run,
        ).values_list("score__run_sample_id", "score__candidate__kind", "vector")
        for pk, kind, packed in rows.iterator():
            row = place.get((pk, kind))
            if row is None:
                continue
            vector = np.frombuffer(bytes(packed), dtype=np.float16)
            if found is None:
                found = np.zeros((len(ids), len(vector)), dtype=np.float32)
            if len(vector) == found.shape[1]:
                found[row] = vector
    return found if found is not None else np.zeros((len(ids), 1), dtype=np.float32)
