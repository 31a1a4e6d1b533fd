"""Measuring where scored pairs lie, for policies that look at coherence or diversity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from refinement.method.errors import StudentError
from refinement.method.specs import PolicySpec
from refinement.models import Embedding, Run, Score
from refinement.pipeline.engines import encoder_in_seat
from refinement.services import policies, runs
from refinement.services.dispatch import wake_now

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from refinement.method.encoder import Encoded
    from refinement.method.pairs import Pair

BATCH = 256  # scores


def embed_for_policy(run_id: int, *, stopping: threading.Event) -> None:
    """All that the run's policy needs and that is not there; then its verdicts go on."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        return
    spec = PolicySpec.from_dict(run.config.get("policy", {}))
    if not spec.needs_encoder:
        return
    try:
        if embed(run, spec.encoder, stopping=stopping):
            wake_now("refinement.derive", run_id)
    except StudentError as error:
        policies.fail_change(run_id=run_id, error=str(error))
        runs.halt_run(run_id=run_id, notice=f"Paused, as the policy needs an encoder. {error}")


def embed(run: Run, encoder_path: str, *, stopping: threading.Event) -> bool:
    """Every scored pair of a run under one encoder. True: none is missing.

    Each batch is saved by itself, so it goes on where it was stopped. Raises StudentError.
    """
    missing = policies.not_embedded(run, encoder_path)
    if not missing.exists():
        return True
    with encoder_in_seat(encoder_path) as encoder:
        last = 0
        while not stopping.is_set():
            rows = missing.filter(pk__gt=last).order_by("pk").defer("token_losses")
            batch = list(rows.select_related("candidate", "run_sample__sample")[:BATCH])
            if not batch:
                return True
            save(batch, encoder.pairs([_pair(score) for score in batch]), encoder_path)
            last = batch[-1].pk
    return False


def _pair(score: Score) -> Pair:
    return (score.candidate or score.run_sample.sample).as_pair()


def save(scores: Sequence[Score], encoded: Sequence[Encoded], encoder_path: str) -> None:
    """Coherence beside the scores, vectors in rows of their own; older ones give way."""
    for score, found in zip(scores, encoded, strict=True):
        score.coherence = found.coherence
    with transaction.atomic():
        Score.objects.bulk_update(scores, ["coherence"])
        Embedding.objects.filter(score__in=scores).delete()
        Embedding.objects.bulk_create(
            Embedding(score=score, encoder=encoder_path, vector=found.vector.tobytes())
            for score, found in zip(scores, encoded, strict=True)
        )
