"""Rounds: what a run selected becomes a dataset, which the next run begins with.

The selection is that of the moment, people's decisions included; what is decided later changes the
earlier run alone. The same selection taken twice is the same dataset.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Dataset, Sample
from refinement.selectors.selection import effective_pairs
from refinement.services import audit
from refinement.services.datasets import content_hash
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refinement.models import Run, User

BATCH_RECORDS = 1000


class _SameAgain(Exception):  # noqa: N818 - news: the selection was taken before
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset


def take_selection(*, run: Run, user: User | None) -> Dataset:
    """The kept pairs of ``run`` as a dataset of its project. Raises ServiceError for none.

    A pair keeps its context and all further fields; its line is its number in ``run``.
    """
    if run.dataset.samples.filter(part__gt=0).exists():
        raise ServiceError(
            gettext(
                "A further round needs one pair a record: import the conversations with their last "
                "turn alone, or export this selection and import it as pairs."
            )
        )
    try:
        with transaction.atomic():
            dataset = Dataset.objects.create(
                project=run.project,
                name=f"Selection of {run.name}"[:200],
                filename=f"run {run.pk}",
                format=run.dataset.format,
                mapping=run.dataset.mapping,
                container=run.dataset.container,
                options=run.dataset.options,
                source_run=run,
                created_by=user,
            )
            digest = hashlib.sha256()
            for batch in _batches(run, dataset):
                Sample.objects.bulk_create(batch)
                for sample in batch:
                    digest.update(f"{sample.line} {sample.content_hash}\n".encode())
                dataset.sample_count += len(batch)
            dataset.sha256 = digest.hexdigest()
            _check_selection(dataset)
            dataset.status = Dataset.Status.READY
            dataset.save()
            audit.record("dataset.selected", dataset, run=run.pk, pairs=dataset.sample_count)
    except _SameAgain as same:
        return same.dataset
    return dataset


def _check_selection(dataset: Dataset) -> None:
    if not dataset.sample_count:
        raise ServiceError(
            gettext(
                "This run keeps no pair yet, so a further round has nothing to begin with: wait, "
                "or decide on a few pairs."
            )
        )
    twins = Dataset.objects.filter(
        source_run=dataset.source_run, sha256=dataset.sha256, status=Dataset.Status.READY
    )
    if twin := twins.first():
        raise _SameAgain(twin)


def _batches(run: Run, dataset: Dataset) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for position, selected in enumerate(effective_pairs(run)):
        pair = selected.pair
        batch.append(
            Sample(
                dataset=dataset,
                position=position,
                line=selected.position + 1,
                instruction=pair.instruction,
                input=pair.input,
                response=pair.response,
                context=[{"role": turn.role, "content": turn.content} for turn in pair.context],
                extra=selected.extra,
                layout=selected.layout,
                content_hash=content_hash(pair),
            )
        )
        if len(batch) == BATCH_RECORDS:
            yield batch
            batch = []
    if batch:
        yield batch
