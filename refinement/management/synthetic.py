"""Fills a run with made-up pairs by the million, as the pipeline and a few people leave them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from django.db.models import F
from django.utils import timezone

from refinement.management.synthetic_cases import make_cases
from refinement.models import Candidate, Decision, Run, RunSample, Sample, Score, Verdict
from refinement.readmodel.install import without_triggers
from refinement.services.bulk_rows import Rows, end_of_ids, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refinement.management.synthetic_cases import Case
    from refinement.method.pairs import Scores
    from refinement.models import User

MOST_CASES = 20_000  # different ones; each comes as often as it takes
FAILED, DECIDED, DISPUTED = 0.01, 0.05, 0.1  # of all, of the rest, of the decided
ACTIONS = {"accept": 60, "original": 12, "candidate": 12, "drop": 16}
_SAMPLES = "dataset_id position line instruction input response content_hash"
_ROWS = "run_id sample_id position stage state error_reason error decision_id"
_CANDIDATES = "run_sample_id kind parent_id instruction response criticism"
_SCORES = (
    "run_sample_id candidate_id status reason loss_instruction loss_response "
    "loss_instruction_given_response loss_response_given_instruction ifd r_ifd instruction_tokens "
    "response_tokens truncated template student_fingerprint"
)
_VERDICTS = (
    "run_sample_id policy "
    "instruction_winner instruction_code instruction_sentence instruction_before "
    "instruction_after instruction_margin response_winner response_code response_sentence "
    "response_before response_after response_margin chosen_id kept code sentence"
)
_DECISIONS = "run_sample_id run_id user_id action candidate_id previous_id created_at"


class Filler:
    """The tables of one run while they are filled."""

    def __init__(self, run: Run, people: Sequence[User], seed: int) -> None:
        self.run = run
        self.people = [person.pk for person in people]
        self.chance = random.Random(seed)  # noqa: S311 - it keeps no secret
        self.samples = Rows(Sample, _SAMPLES)
        self.rows = Rows(RunSample, _ROWS)
        self.candidates = Rows(Candidate, _CANDIDATES)
        self.scores = Rows(Score, _SCORES)
        self.verdicts = Rows(Verdict, _VERDICTS)
        self.decisions = Rows(Decision, _DECISIONS)
        self.tables = [
            self.samples,
            self.rows,
            self.candidates,
            self.scores,
            self.verdicts,
            self.decisions,
        ]

    def fill(self, count: int, report: Callable[[int], None]) -> None:
        cases = make_cases(min(count, MOST_CASES), self.chance)
        with without_triggers():
            with unchecked():
                for position in range(count):
                    self.add(position, self.chance.choice(cases))
                    if position % Rows.LOT == 0:
                        report(position)
                for table in self.tables:
                    table.write()
            end_of_ids([table.model for table in self.tables])
            report(count)

    def add(self, position: int, case: Case) -> None:
        sample = self.samples.add(
            self.run.dataset_id,
            position,
            position + 1,
            f"Item {position + 1}. {case.instruction}",
            "",
            case.response,
            f"{self.run.pk:032x}{position:032x}",
        )
        number = self.rows.last_id + 1
        fate = self.chance.random()
        if fate < FAILED:
            self.rows.add(
                self.run.pk,
                sample,
                position,
                "reflect_response" if fate < FAILED / 2 else "reflect_instruction",
                "failed",
                self.chance.choice(["refusal", "truncated", "unparsable"]),
                "The teacher's reply was of no use.",
                None,
            )
            return
        chosen = self._judge(number, position, case)
        decision = self._decide(number, chosen) if self.chance.random() < DECIDED else None
        self.rows.add(self.run.pk, sample, position, "done", "done", "", "", decision)

    def _judge(self, number: int, position: int, case: Case) -> int | None:
        """Candidates, scores and verdict; the candidate that was chosen."""
        first = self.candidates.add(
            number,
            "instruction",
            None,
            f"Item {position + 1}. {case.new_instruction}",
            case.response,
            case.criticism,
        )
        parent = first if case.takes_first else None
        kept_instruction = case.new_instruction if case.takes_first else case.instruction
        second = self.candidates.add(
            number,
            "response",
            parent,
            f"Item {position + 1}. {kept_instruction}",
            case.new_response,
            case.criticism,
        )
        for candidate, scores in (
            (None, case.original),
            (first, case.first),
            (second, case.second),
        ):
            self._score(number, candidate, scores)
        chosen = second if case.takes_second else parent
        verdict = case.verdict
        choices = [
            (c.winner.value, c.code, c.sentence, c.before, c.after, c.margin)
            for c in (case.instruction_choice, verdict.response)
        ]
        self.verdicts.add(
            number,
            "paper",
            *choices[0],
            *choices[1],
            chosen,
            verdict.kept,
            verdict.code,
            verdict.sentence,
        )
        return chosen

    def _score(self, number: int, candidate: int | None, scores: Scores) -> None:
        losses = scores.losses
        self.scores.add(
            number,
            candidate,
            scores.status.value,
            scores.reason.value,
            losses.instruction,
            losses.response,
            losses.instruction_given_response,
            losses.response_given_instruction,
            scores.ifd,
            scores.r_ifd,
            scores.instruction_tokens,
            scores.response_tokens,
            scores.truncated,
            "vicuna",
            self.run.student_fingerprint,
        )

    def _decide(self, number: int, chosen: int | None) -> int:
        """One person's word, and now and then another's over it. The id of what counts."""
        said: int | None = None
        disputed = len(self.people) > 1 and self.chance.random() < DISPUTED
        for person in self.chance.sample(self.people, 2 if disputed else 1):
            action = self.chance.choices(list(ACTIONS), list(ACTIONS.values()))[0]
            if action == "candidate" and chosen is None:
                action = "original"
            taken = chosen if action == "candidate" else None
            said = self.decisions.add(
                number, self.run.pk, person, action, taken, said, timezone.now()
            )
        assert said is not None  # noqa: S101 - there is at least one person
        return said


def fill_run(
    run: Run, people: Sequence[User], *, count: int, seed: int, report: Callable[[int], None]
) -> None:
    """``count`` pairs of ``run``, judged, some decided by ``people``; then the run is complete."""
    Filler(run, people, seed).fill(count, report)
    Run.objects.filter(pk=run.pk).update(
        status=Run.Status.COMPLETE,
        finished_at=timezone.now(),
        scored_pairs=3 * count,
        teacher_calls=F("teacher_calls") + 2 * count,
    )
