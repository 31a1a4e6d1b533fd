"""The student's two stages of a chunk of samples: select on the instruction, on the response.

A chunk is loaded, read by the student, and settled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F

from refinement.method.planning import plan_pairs
from refinement.method.policies import SampleScores, get_policy
from refinement.method.policies.policy import Version
from refinement.method.scoring import score_plans
from refinement.method.specs import PolicySpec
from refinement.method.token_archive import pack
from refinement.models import Candidate, Embedding, Run, RunSample, Score, Verdict
from refinement.pipeline import claims
from refinement.pipeline.engines import encoder_in_seat
from refinement.services.verdicts import WRITTEN, begin, complete

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refinement.method.encoder import Encoded
    from refinement.method.pairs import Pair, Scores
    from refinement.method.policies import Policy
    from refinement.method.student import Student
    from refinement.method.token_losses import ResponseTokens

Kind, Stage = Candidate.Kind, RunSample.Stage


@dataclass
class Case:
    """One sample before the student: what is known of it, and which pairs are to be scored."""

    row: RunSample
    candidates: dict[str, Candidate] = field(default_factory=dict)  # by kind
    known: dict[int | None, Scores] = field(default_factory=dict)  # by candidate id; None: original
    verdict: Verdict | None = None
    next_stage: str = Stage.REFLECT_RESPONSE

    @property
    def is_first(self) -> bool:
        return self.row.stage == Stage.SELECT_INSTRUCTION

    @property
    def rewrite(self) -> Candidate:
        """The candidate that this stage judges."""
        return self.candidates[Kind.INSTRUCTION if self.is_first else Kind.RESPONSE]

    @property
    def base(self) -> Candidate | None:
        """What the rewrite is compared with; None: the original."""
        return self.rewrite.parent if not self.is_first else None

    def unscored(self) -> list[Candidate | None]:
        wanted = (self.base, self.rewrite)
        return [c for c in wanted if (c.pk if c else None) not in self.known]

    def pair_of(self, candidate: Candidate | None) -> Pair:
        return candidate.as_pair() if candidate else self.row.sample.as_pair()

    def scores_of(self, kind: str) -> Scores | None:
        candidate = self.candidates.get(kind)
        return self.known.get(candidate.pk) if candidate else None

    def sample_scores(self) -> SampleScores:
        second = self.candidates.get(Kind.RESPONSE)
        return SampleScores(
            key=self.row.position,
            original=self.known[None],
            instruction=self.scores_of(Kind.INSTRUCTION),
            response=self.scores_of(Kind.RESPONSE),
            response_of=Version.INSTRUCTION if second and second.parent else Version.ORIGINAL,
        )


def load_cases(rows: Sequence[RunSample]) -> list[Case]:
    cases = {row.pk: Case(row) for row in rows}
    candidates = Candidate.objects.filter(run_sample_id__in=cases).exclude(kind=Kind.EDIT)
    by_id = {candidate.pk: candidate for candidate in candidates}
    for candidate in by_id.values():
        case = cases[candidate.run_sample_id]
        candidate.run_sample = case.row
        candidate.parent = by_id.get(candidate.parent_id) if candidate.parent_id else None
        case.candidates[candidate.kind] = candidate
    for score in Score.objects.filter(run_sample_id__in=cases):
        cases[score.run_sample_id].known[score.candidate_id] = score.as_scores()
    for verdict in Verdict.objects.filter(run_sample_id__in=cases):
        cases[verdict.run_sample_id].verdict = verdict
    return list(cases.values())


@dataclass(frozen=True, slots=True)
class Fresh:
    """A pair that was scored just now."""

    case: Case
    candidate: Candidate | None
    scores: Scores
    tokens: ResponseTokens
    encoded: Encoded | None = None  # where the policy asks for it


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens that went through the student, and those of scoring every pair by itself.

    By itself, a pair takes four passes in each of the two comparisons that it stands in.
    """

    tokens: int
    tokens_apart: int


def score_cases(student: Student, cases: Sequence[Case]) -> tuple[list[Fresh], Work]:
    """Score what each case still lacks, all in one go. Raises StudentError."""
    before = student.forward_tokens
    compared = [(case, candidate) for case in cases for candidate in (case.base, case.rewrite)]
    plans = plan_pairs(student, [case.pair_of(c) for case, c in compared], student.template())
    wanted = [
        (case, candidate, plan)
        for (case, candidate), plan in zip(compared, plans, strict=True)
        if candidate in case.unscored()
    ]
    scored = score_plans(student, [plan for _, _, plan in wanted])
    fresh = []
    for (case, candidate, _), (scores, tokens) in zip(wanted, scored, strict=True):
        case.known[candidate.pk if candidate else None] = scores
        fresh.append(Fresh(case, candidate, scores, tokens))
    apart = sum(plan.forward_tokens for plan in plans)
    return fresh, Work(tokens=student.forward_tokens - before, tokens_apart=apart)


def settle(
    run: Run, student: Student, cases: Sequence[Case], read: tuple[list[Fresh], Work]
) -> int:
    """What follows once the student has read the cases: the policy chooses, and all is saved.

    Returns how many were saved: those whose lease was lost meanwhile are left to whoever has them
    now. Raises StudentError, of the policy's encoder.
    """
    fresh, work = read
    run.refresh_from_db(fields=["config", "policy_version"])  # a person may have changed the policy
    policy = get_policy(PolicySpec.from_dict(run.config["policy"]))
    if policy.spec.needs_encoder:
        fresh = _encode(fresh, policy.spec.encoder)
    for case in cases:
        case.next_stage = _next_stage(case, asks_teacher=bool(run.config["teacher"]["base_url"]))
        case.verdict = judge(case, policy, run.policy_version)
    return _save(run, student, cases, fresh, work)


def _encode(fresh: Sequence[Fresh], encoder_path: str) -> list[Fresh]:
    """The same with the coherence of each pair among its scores."""
    with encoder_in_seat(encoder_path) as encoder:
        encoded = encoder.pairs([one.case.pair_of(one.candidate) for one in fresh])
    found = []
    for one, measured in zip(fresh, encoded, strict=True):
        scores = replace(one.scores, coherence=measured.coherence)
        one.case.known[one.candidate.pk if one.candidate else None] = scores
        found.append(replace(one, scores=scores, encoded=measured))
    return found


# -- Judging --------------------------------------------------------------------------------------
def judge(case: Case, policy: Policy, version: int) -> Verdict:
    """The verdict after this stage: begun in the first, completed in the last.

    The last makes both choices anew from all scores, so that a policy that was changed in between
    judges the pair as it would have from the start.
    """
    verdict = case.verdict or Verdict(run_sample=case.row)
    if case.next_stage != Stage.DONE:
        return begin(verdict, policy, version, policy.choose_instruction(case.sample_scores()))
    judged = policy.judge(case.sample_scores())
    return complete(verdict, policy, version, judged, case.candidates)


def _next_stage(case: Case, *, asks_teacher: bool) -> str:
    """Rewrites that came with the data may leave the teacher nothing to do."""
    if not case.is_first:
        return Stage.DONE
    if Kind.RESPONSE in case.candidates:
        return Stage.SELECT_RESPONSE
    return Stage.REFLECT_RESPONSE if asks_teacher else Stage.DONE


# -- Saving ---------------------------------------------------------------------------------------
def _save(
    run: Run,
    student: Student,
    cases: Sequence[Case],
    fresh: Sequence[Fresh],
    work: Work,
) -> int:
    """Scores, verdicts and stages in one transaction, for the rows that are still ours."""
    with transaction.atomic():
        held = claims.lock_ours(case.row for case in cases)
        saved = [one for one in fresh if one.case.row.pk in held]
        scores = [_score_row(run, student, one) for one in saved]
        Score.objects.bulk_create(scores)
        _save_embeddings(run, saved, scores)
        mine = [case for case in cases if case.row.pk in held]
        verdicts = _verdicts(mine)
        Verdict.objects.bulk_update([v for v in verdicts if v.pk], fields=WRITTEN)
        Verdict.objects.bulk_create([v for v in verdicts if not v.pk])
        for stage in (Stage.SELECT_RESPONSE, Stage.REFLECT_RESPONSE, Stage.DONE):
            claims.advance([c.row.pk for c in mine if c.next_stage == stage], stage)
        Run.objects.filter(pk=run.pk).update(
            scored_pairs=F("scored_pairs") + len(scores),
            forward_tokens=F("forward_tokens") + work.tokens,
            forward_tokens_apart=F("forward_tokens_apart") + work.tokens_apart,
        )
    return len(held)


def _save_embeddings(run: Run, fresh: Sequence[Fresh], scores: Sequence[Score]) -> None:
    encoder = run.config["policy"].get("encoder", "")
    Embedding.objects.bulk_create(
        Embedding(score=score, encoder=encoder, vector=one.encoded.vector.tobytes())
        for one, score in zip(fresh, scores, strict=True)
        if one.encoded is not None
    )


def _verdicts(cases: Iterable[Case]) -> list[Verdict]:
    return [case.verdict for case in cases if case.verdict is not None]


def _score_row(run: Run, student: Student, fresh: Fresh) -> Score:
    scores = fresh.scores
    losses = scores.losses
    return Score(
        run_sample_id=fresh.case.row.pk,
        candidate=fresh.candidate,
        status=scores.status.value,
        reason=scores.reason.value,
        loss_instruction=losses.instruction,
        loss_response=losses.response,
        loss_instruction_given_response=losses.instruction_given_response,
        loss_response_given_instruction=losses.response_given_instruction,
        ifd=scores.ifd,
        r_ifd=scores.r_ifd,
        instruction_tokens=scores.instruction_tokens,
        response_tokens=scores.response_tokens,
        s_ifd=scores.s_ifd,
        grape=scores.grape,
        rsr=scores.rsr,
        truncated=scores.truncated,
        straddled=scores.straddled,
        coherence=scores.coherence,
        token_losses=pack(fresh.tokens),
        template=run.config["student"]["template"],
        student_fingerprint=student.fingerprint,
    )
