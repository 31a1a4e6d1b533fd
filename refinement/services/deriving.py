"""The background work behind a change of policy: all verdicts anew, a batch at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import transaction

from refinement.method.policies import SampleScores, get_policy
from refinement.method.policies.columns import evaluate
from refinement.method.policies.cuts import cut
from refinement.method.policies.cuts import sentence as cut_sentence
from refinement.method.policies.policy import Version
from refinement.method.specs import PolicySpec
from refinement.models import Candidate, Decision, Run, RunSample, Score, Verdict
from refinement.selectors.embeddings import embeddings_of
from refinement.selectors.run_columns import run_table
from refinement.services import policies
from refinement.services.dispatch import wake_now
from refinement.services.verdicts import STAMP, WRITTEN, begin, complete

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from refinement.method.policies import Policy

    Outcome = tuple[Verdict, tuple[bool | None, int | None]]  # and whether it kept which before

BATCH = 500
Kind = Candidate.Kind


def derive(run_id: int, *, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Bring every verdict of a run to its present policy. True: nothing is left to do.

    Safe to run twice at once, and to kill: each batch is one transaction.
    """
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        return True
    spec = PolicySpec.from_dict(run.config.get("policy", {}))
    if spec.needs_encoder and policies.not_embedded(run, spec.encoder).exists():
        wake_now("refinement.embed", run_id)  # which needs a model, and comes back here
        return False
    work = Derivation(run)
    last = -1
    while not stopping():
        batch = list(
            policies.outdated(run)
            .filter(run_sample__position__gt=last)
            .order_by("run_sample__position")
            .values_list("run_sample_id", "run_sample__position")[:BATCH]
        )
        if not batch:
            break
        if not work.judge([pk for pk, _ in batch]):
            return derive(run_id, stopping=stopping)  # the policy was changed again meanwhile
        last = batch[-1][1]
    if stopping() or policies.outdated(run).exists():
        return False
    policies.finish_change(run=run, version=run.policy_version, with_cut=work.below is not None)
    return True


class Derivation:
    """One policy over one run. ``below``: samples that pass its filters but not its cut."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.spec = PolicySpec.from_dict(run.config.get("policy", {}))
        self.policy: Policy = get_policy(self.spec)
        self.below: set[int] | None = None
        self.why = ""
        if self.spec.has_cut and _scored_to_the_end(run):
            self._find_cut()

    def _find_cut(self) -> None:
        table = run_table(self.run)
        outcome = evaluate(self.policy, table.columns)

        def embeddings(rows: NDArray[np.intp]) -> NDArray[np.float32]:
            return embeddings_of(self.run, table.ids[rows], outcome.version[rows])

        done = cut(self.spec, table.columns, outcome, embeddings)
        self.below = {int(pk) for pk in table.ids[outcome.kept & ~done.outcome.kept]}
        self.why = cut_sentence(self.spec, done)

    def judge(self, ids: Sequence[int]) -> bool:
        """Write the verdicts of these samples. False: another policy has come."""
        with transaction.atomic():
            version = Run.objects.values_list("policy_version", flat=True).get(pk=self.run.pk)
            if version != self.run.policy_version:
                return False
            # The lock of a decision: nobody accepts a verdict while it is written anew.
            rows = RunSample.objects.select_for_update().filter(pk__in=ids).in_bulk()
            verdicts = self._verdicts(rows)
            scores, candidates = _scores(list(rows.values()))
            changed: list[Outcome] = []
            same: list[Outcome] = []
            for verdict in verdicts:
                old = (verdict.kept, verdict.chosen_id)
                before = [getattr(verdict, name) for name in WRITTEN if name not in STAMP]
                pk = verdict.run_sample_id
                self._write(verdict, rows[pk], scores[pk], candidates[pk])
                after = [getattr(verdict, name) for name in WRITTEN if name not in STAMP]
                (same if before == after else changed).append((verdict, old))
            Verdict.objects.bulk_update([v for v, _ in changed], fields=WRITTEN, batch_size=100)
            Verdict.objects.filter(pk__in=[v.pk for v, _ in same]).update(
                policy=self.spec.name, policy_version=version
            )
            turned = sum((v.kept, v.chosen_id) != old for v, old in changed)
            policies.note_changes(run=self.run, version=version, changed=turned)
        return True

    def judge_in_memory(self, verdicts: Sequence[Verdict], rows: Mapping[int, RunSample]) -> None:
        """Give these verdicts, of samples that are scored to the end, as the policy has them."""
        scores, candidates = _scores(list(rows.values()))
        for verdict in verdicts:
            pk = verdict.run_sample_id
            self._write(verdict, rows[pk], scores[pk], candidates[pk])

    def _verdicts(self, rows: dict[int, RunSample]) -> list[Verdict]:
        """Of the samples that are still as they were when they were chosen."""
        found = policies.outdated(self.run).filter(run_sample__in=rows)
        accepted = Decision.objects.filter(
            pk__in=[row.decision_id for row in rows.values() if row.decision_id],
            action=Decision.Action.ACCEPT,
        ).values("run_sample_id")
        return list(found.exclude(run_sample__in=accepted).select_related("chosen"))

    def _write(
        self,
        verdict: Verdict,
        row: RunSample,
        scores: SampleScores,
        candidates: dict[str, Candidate],
    ) -> None:
        version = self.run.policy_version
        if row.state != RunSample.State.DONE:
            begin(verdict, self.policy, version, self.policy.choose_instruction(scores))
            return
        judgement, chosen = self.policy.judge(scores)
        if self.below is not None and row.pk in self.below and judgement.kept:
            judgement = replace(judgement, kept=False, code="below_cut", sentence=self.why)
        complete(verdict, self.policy, version, (judgement, chosen), candidates)


def _scored_to_the_end(run: Run) -> bool:
    """A cut over a run that goes on would be another one a minute later."""
    states = RunSample.State
    return not run.run_samples.filter(state__in=[states.READY, states.LEASED]).exists() or (
        run.status == Run.Status.CANCELLED
    )


def _scores(
    rows: Sequence[RunSample],
) -> tuple[dict[int, SampleScores], dict[int, dict[str, Candidate]]]:
    """What the policy looks at, and the rewrites by kind, for each row by its id."""
    candidates: dict[int, dict[str, Candidate]] = {row.pk: {} for row in rows}
    short = Candidate.objects.only("run_sample_id", "kind", "parent_id")
    for candidate in short.filter(run_sample__in=candidates).exclude(kind=Kind.EDIT):
        candidates[candidate.run_sample_id][candidate.kind] = candidate
    known = {
        (score.run_sample_id, score.candidate_id): score.as_scores()
        for score in Score.objects.defer("token_losses").filter(run_sample__in=candidates)
    }
    found = {}
    for row in rows:
        own = candidates[row.pk]
        first, second = own.get(Kind.INSTRUCTION), own.get(Kind.RESPONSE)
        rewritten = second is not None and second.parent_id is not None
        found[row.pk] = SampleScores(
            key=row.position,
            original=known[row.pk, None],
            instruction=known.get((row.pk, first.pk)) if first else None,
            response=known.get((row.pk, second.pk)) if second else None,
            response_of=Version.INSTRUCTION if rewritten else Version.ORIGINAL,
        )
    return found, candidates
