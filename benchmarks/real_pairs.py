"""The repository's path, and real pairs to measure with. Needs neither Django nor its settings."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from refinement.formats.registry import Record, read_records  # noqa: E402

if TYPE_CHECKING:
    from refinement.method.pairs import Pair

DEMO = REPOSITORY / "refinement/demo/pairs.jsonl"
ALPACA = REPOSITORY.parent / "shared/data/alpaca_cherry_3k.json"


def default_input() -> Path:
    """Real Alpaca pairs where they lie beside the repository, else the bundled ones."""
    return ALPACA if ALPACA.exists() else DEMO


def read_pairs(path: Path, count: int) -> list[Pair]:
    records = (read for read in read_records(path) if isinstance(read, Record))
    return [record.pair for record in islice(records, count) if record.pair.response]
