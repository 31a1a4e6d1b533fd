"""The pairs and templates with the published script's own values. No part of the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"
GOLDEN_PAIRS = GOLDEN / "ifd_smollm2_135m.jsonl"


def golden_pairs() -> list[dict[str, Any]]:
    """24 records with their ``expected`` values; skips the test where they are absent."""
    return [json.loads(line) for line in _text(GOLDEN_PAIRS).splitlines()]


def golden_templates() -> dict[str, Any]:
    """The templates' texts; skips the test where they are absent."""
    return dict(json.loads(_text(GOLDEN / "score_templates.json")))


def _text(path: Path) -> str:
    if not path.exists():
        pytest.skip(f"no golden values at {path}")
    return path.read_text(encoding="utf-8")
