"""An export under another policy than the run's own: what a what-if would keep, written out.

The verdicts that the policy gives are put into a temporary table that only the export's connection
sees, and that stands there in the place of the real one. So everything that reads verdicts, the
selection, the counts, the means and the preference pairs, is of that policy, and no row of the run
changes.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
from django.db import connections
from django.utils.translation import gettext

from refinement.models import Decision, RunSample, Verdict
from refinement.selectors.run_columns import run_table
from refinement.selectors.what_if import outcome_of
from refinement.services import policies
from refinement.services.deriving import Derivation
from refinement.services.errors import ServiceError
from refinement.services.verdicts import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from refinement.method.specs import PolicySpec
    from refinement.models import Run

TABLE = Verdict._meta.db_table
_BATCH = 500
_COLUMNS = ["chosen_id" if name == "chosen" else name for name in WRITTEN]


def check(run: Run, spec: PolicySpec) -> None:
    """Raises ServiceError where the policy makes no sense, or its texts are not measured yet."""
    policies.check_policy(spec)
    if spec.needs_encoder and policies.not_embedded(run, spec.encoder).exists():
        raise ServiceError(
            gettext(
                "The run's texts are not measured with this encoder yet: make it the run's policy "
                "once, and they will be."
            )
        )


def with_policy(run: Run, spec: PolicySpec) -> Run:
    """The run as if ``spec`` were its policy. Not to be saved."""
    other = copy.copy(run)
    other.config = run.config | {"policy": spec.as_dict()}
    return other


def judge_anew(
    run: Run, spec: PolicySpec, *, using: str, while_working: Callable[[], None]
) -> None:
    """Fill the snapshot's own table of verdicts. ``using`` was opened with ``copies=[TABLE]``.

    What somebody accepted stands as it was accepted, and so does what is not scored to the end.
    """
    schema = "main" if connections[using].vendor == "sqlite" else "public"
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} SELECT v.* FROM {schema}.{TABLE} v "  # noqa: S608 - our own names
            "JOIN refinement_runsample r ON r.id = v.run_sample_id WHERE r.run_id = %s",
            [run.pk],
        )
    work = Derivation(with_policy(run, spec))
    rows = RunSample.objects.using(using).filter(run=run, state=RunSample.State.DONE)
    rows = rows.filter(verdict__kept__isnull=False).order_by("position")
    last = -1
    while batch := {row.pk: row for row in rows.filter(position__gt=last)[:_BATCH]}:
        last = max(row.position for row in batch.values())
        _judge(work, batch, using)
        while_working()


def _judge(work: Derivation, rows: dict[int, RunSample], using: str) -> None:
    found = Verdict.objects.using(using).filter(run_sample__in=list(rows))
    verdicts = list(found.exclude(run_sample__decision__action=Decision.Action.ACCEPT))
    work.judge_in_memory(verdicts, rows)
    names = ", ".join(f"{column} = %s" for column in _COLUMNS)
    with connections[using].cursor() as cursor:
        cursor.executemany(
            f"UPDATE {TABLE} SET {names} WHERE id = %s",  # noqa: S608 - our own names
            [(*(getattr(v, column) for column in _COLUMNS), v.pk) for v in verdicts],
        )


def estimate_kept(run: Run, spec: PolicySpec) -> int:
    """How many pairs it would keep, decisions of people included, at once and for any size."""
    table = run_table(run)
    kept = np.where(table.said.decided, table.said.kept, outcome_of(table, spec).kept)
    return int(kept.sum())
