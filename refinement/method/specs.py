"""What a run freezes of its teacher, its student and its policy. Plain data, JSON both ways."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Spec:
    """Base: to and from a JSON object, ignoring keys that a later version wrote."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})


@dataclass(frozen=True, slots=True)
class TeacherSpec(Spec):
    """An OpenAI-compatible server and how to talk to it. Prices are per million tokens."""

    base_url: str
    model: str
    api_key_variable: str = ""
    protocol: str = "tagged"  # staged, tagged or json_schema
    max_concurrency: int = 16
    max_tokens: int = 2048
    temperature: float = 0.7
    timeout_seconds: float = 120.0
    tries: int = 4  # of one request, before a transient error is given up
    price_prompt: float = 0.0
    price_completion: float = 0.0


@dataclass(frozen=True, slots=True)
class StudentSpec(Spec):
    """The model whose losses decide, and the template it is scored under."""

    path: str
    revision: str = ""
    template: str = "vicuna"
    dtype: str = "auto"  # auto, float32 or bfloat16
    max_length: int = 2048  # tokens
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class PolicySpec(Spec):
    """Who wins and what is exported.

    ``name`` is one of ``policies.POLICIES``. The three filters are the paper's, and each is a
    switch. With ``top_by`` (a signal's code) and either ``top_count`` or ``top_percent``, only that
    many of the pairs that pass are kept, the best by that signal; ``diverse`` spreads them over the
    subjects instead of taking the very best.
    """

    name: str = "paper"
    require_response_accepted: bool = True
    max_ifd: float | None = 1.0  # keep only below; None: no such filter
    max_r_ifd: float | None = 1.0
    seed: int = 0  # of `random`
    encoder: str = ""  # a model folder for sentence embeddings: of `coherence`, and of `diverse`
    top_by: str = ""
    top_count: int | None = None  # pairs
    top_percent: float | None = None  # of the pairs that pass
    diverse: bool = False

    @property
    def has_cut(self) -> bool:
        """Whether it takes all scores of a run to say which pairs are kept."""
        return self.top_count is not None or self.top_percent is not None

    @property
    def needs_encoder(self) -> bool:
        return self.name == "coherence" or self.top_by == "coherence" or self.diverse


def same_model(teacher_model: str, student_path: str) -> bool:
    """Whether a teacher's model is the student's: by the whole name, or by that of a local folder.

    A server may know the model in ``/models/mine`` as ``mine``.
    """
    if teacher_model == student_path:
        return True
    local = [name for name in (teacher_model, student_path) if name.startswith(("/", "~", "."))]
    return bool(local) and _last_part(teacher_model) == _last_part(student_path)


def _last_part(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
