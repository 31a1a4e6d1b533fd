"""The losses of single tokens for pairs that were scored without them: one pair, when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.method.errors import StudentError
from refinement.method.planning import plan_pairs
from refinement.method.scoring import score_plans
from refinement.method.specs import StudentSpec
from refinement.method.token_archive import pack
from refinement.models import RunSample
from refinement.pipeline.engines import student_in_seat
from refinement.pipeline.scoring import check_same
from refinement.services.token_wishes import keep_tokens, refuse_tokens, without_tokens

if TYPE_CHECKING:
    from refinement.method.pairs import Pair


def score_tokens(run_sample_id: int) -> None:
    """Nothing where the pair has them by now. Done twice, it writes the same once."""
    waiting = RunSample.objects.filter(pk=run_sample_id, token_wish__error="")
    row = waiting.select_related("run", "sample").first()
    if row is None:
        return
    pairs = _pairs(row)
    try:
        with student_in_seat(StudentSpec.from_dict(row.run.config["student"])) as student:
            check_same(row.run, student)
            plans = plan_pairs(student, list(pairs.values()), student.template())
            found = [tokens for _, tokens in score_plans(student, plans)]
    except StudentError as error:
        refuse_tokens(run_sample_id=run_sample_id, error=str(error))
        return
    packed = {pk: pack(tokens) for pk, tokens in zip(pairs, found, strict=True)}
    kept = {pk: losses for pk, losses in packed.items() if losses is not None}
    keep_tokens(run_sample_id=run_sample_id, packed=kept)


def _pairs(row: RunSample) -> dict[int, Pair]:
    """What the scores without tokens were given for, by the score's id."""
    pairs = {}
    for score in without_tokens(row.pk).select_related("candidate"):
        if score.candidate is None:
            pairs[score.pk] = row.sample.as_pair()
        else:
            score.candidate.run_sample = row
            pairs[score.pk] = score.candidate.as_pair()
    return pairs
