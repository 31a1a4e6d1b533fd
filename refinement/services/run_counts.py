"""Folds the counts of runs: PostgreSQL's triggers add a row for every change."""

from __future__ import annotations

from collections import Counter

from django.db import connection, transaction
from django.db.models import Count

from refinement.models import Run, RunCount

MOST_ROWS = 200  # of one run, until they are folded


def fold_counts() -> int:
    """One row for each key of the runs that have many; how many rows that saved.

    Whoever adds a row meanwhile waits for nobody and is not waited for: what was not there when
    the rows were locked is left for the next time.
    """
    saved = 0
    many = RunCount.objects.values("run_id").annotate(rows=Count("pk")).filter(rows__gt=MOST_ROWS)
    for run_id in list(many.values_list("run_id", flat=True).order_by()):
        saved += _fold(run_id)
    gone = RunCount.objects.exclude(run_id__in=Run.objects.values("pk"))
    saved += gone.delete()[0]
    return saved


def _fold(run_id: int) -> int:
    with transaction.atomic():
        rows = RunCount.objects.filter(run_id=run_id)
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        found = list(rows.values_list("pk", "key", "n", "tokens_before", "tokens_after"))
        sums = [Counter[str](), Counter[str](), Counter[str]()]
        for _, key, *values in found:
            for total, value in zip(sums, values, strict=True):
                total[key] += value
        RunCount.objects.filter(pk__in=[row[0] for row in found]).delete()
        count, before, after = sums
        folded = [
            RunCount(
                run_id=run_id,
                key=key,
                n=n,
                tokens_before=before[key],
                tokens_after=after[key],
            )
            for key, n in count.items()
            if n
        ]
        RunCount.objects.bulk_create(folded)
    return len(found) - len(folded)
