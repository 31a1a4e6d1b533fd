"""Sentence embeddings: how near instruction and response are, and where a pair lies.

Any encoder that transformers reads, mean-pooled over its tokens and scaled to length 1, as
sentence-transformers does by default (Reimers and Gurevych, EMNLP 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from refinement.method.errors import StudentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refinement.method.pairs import Pair

    Vectors = NDArray[np.float32]

BATCH = 64  # texts
LONGEST = 512  # tokens, or what the tokenizer says if that is less


@dataclass(frozen=True, slots=True)
class Encoded:
    """``coherence`` is the cosine of both halves; ``vector`` (d,) the pair's place, of length 1."""

    coherence: float | None
    vector: NDArray[np.float16]


class Encoder:
    """A model that turns texts into unit vectors."""

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        self._model, self._tokenizer, self._device = model, tokenizer, device
        self._longest = min(int(tokenizer.model_max_length), LONGEST)

    @classmethod
    def load(cls, path: str, device: str = "auto") -> Self:
        """Raises StudentError where the folder holds no such model."""
        if not (Path(path) / "config.json").is_file():
            raise StudentError(
                f"There is no encoder at {path}: give the folder of a sentence-embedding model, "
                "with its config.json, tokenizer and weights."
            )
        chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            model = AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError, KeyError) as error:
            raise StudentError(f"The encoder at {path} cannot be loaded: {error}") from error
        where = torch.device(chosen)
        return cls(model.to(where).eval(), tokenizer, where)

    def pairs(self, pairs: Sequence[Pair]) -> list[Encoded]:
        """An empty half has no direction: then there is no coherence."""
        first = self.texts([f"{pair.instruction}\n{pair.input}".strip() for pair in pairs])
        second = self.texts([pair.response for pair in pairs])
        return [_encoded(x, y) for x, y in zip(first, second, strict=True)]

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (n, d); zeros for a blank text. Batches of similar length."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        width = int(self._model.config.hidden_size)
        found: Vectors = np.zeros((len(texts), width), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            rows = [i for i in order[start : start + BATCH] if texts[i].strip()]
            if rows:
                found[rows] = self._batch([texts[i] for i in rows])
        return found

    def _batch(self, texts: list[str]) -> Vectors:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self._device)
        hidden = self._model(**tokens).last_hidden_state  # (n, t, d)
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)  # (n, t, 1)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        vectors: Vectors = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
        return vectors


def _encoded(instruction: Vectors, response: Vectors) -> Encoded:
    whole = instruction + response
    length = float(np.linalg.norm(whole))
    cosine = float(np.dot(instruction, response))
    known = bool(instruction.any() and response.any()) and np.isfinite(cosine)
    vector = whole / length if length > 0 else whole
    return Encoded(min(1.0, max(-1.0, cosine)) if known else None, vector.astype(np.float16))
