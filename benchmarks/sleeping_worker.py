"""A Celery worker whose student takes its time and nothing else: ``sleeping_worker.py SECONDS …``.

Everything but the model is the product's: claims, leases, reading candidates, judging, saving. What
is stored of a pair has the size that it has in life: the losses of a hundred tokens.
"""

from __future__ import annotations

import os
import random
import runpy
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "srt_web.settings")
import django

django.setup()

from refinement.method.pairs import PairLosses, Scores, Status  # noqa: E402
from refinement.method.token_losses import ResponseTokens, TokenLoss  # noqa: E402
from refinement.pipeline import scoring, selecting  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TOKENS = 100


@dataclass
class SleepingStudent:
    """Made-up losses, after ``seconds`` for each pair."""

    seconds: float
    fingerprint: str = "sleeping"

    def template(self) -> None:
        """It needs none."""

    def score(self, cases: Sequence[selecting.Case]) -> tuple[list[Any], selecting.Work]:
        """In place of ``selecting.score_cases``."""
        wanted = [(case, candidate) for case in cases for candidate in case.unscored()]
        time.sleep(self.seconds * len(wanted))
        fresh = []
        for case, candidate in wanted:
            scores = made_up(random.Random(f"{case.row.position} {candidate and candidate.kind}"))
            case.known[candidate.pk if candidate else None] = scores
            fresh.append(selecting.Fresh(case, candidate, scores, LOSSES))
        return fresh, selecting.Work(tokens=4 * TOKENS * len(wanted), tokens_apart=0)


def made_up(dice: random.Random) -> Scores:
    losses = PairLosses(*(dice.uniform(1, 4) for _ in range(4)))
    return Scores(Status.SCORED, losses=losses, instruction_tokens=TOKENS, response_tokens=TOKENS)


_column = tuple(TokenLoss(4 * n, 4 * n + 4, (n * 37 % 101) / 25) for n in range(TOKENS))
LOSSES = ResponseTokens(alone=_column, given_instruction=_column)


def main() -> None:
    student = SleepingStudent(float(sys.argv[1]))

    @contextmanager
    def seat(_spec: Any) -> Iterator[SleepingStudent]:
        yield student

    scoring.student_in_seat = seat  # type: ignore[attr-defined, assignment]
    selecting.score_cases = lambda _student, cases: student.score(cases)  # type: ignore[assignment]
    sys.argv = ["celery", *sys.argv[2:]]
    runpy.run_module("celery", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
