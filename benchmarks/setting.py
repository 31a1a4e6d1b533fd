"""Django's settings and the paths that every benchmark begins with. Import it first."""

from __future__ import annotations

import os
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import django

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
django.setup()  # the settings say, among other things, how torch's threads wait

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
