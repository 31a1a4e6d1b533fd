"""Rewrites that came with the data become the candidates of a run, by the database itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext

from refinement.models import Candidate, GivenRewrite, RunSample
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from refinement.models import Run

Kind, Stage = GivenRewrite.Kind, RunSample.Stage


def begin_with_given(run: Run) -> None:
    """Let samples that came with a rewrite begin where the student judges it.

    Where the run asks no teacher, the other samples are left out of it. Raises ServiceError where
    none would be left.
    """
    rows = RunSample.objects.filter(run=run)
    for kind, stage in (
        (Kind.INSTRUCTION, Stage.SELECT_INSTRUCTION),
        (Kind.RESPONSE, Stage.SELECT_RESPONSE),
    ):
        given = GivenRewrite.objects.filter(
            dataset_id=run.dataset_id, kind=kind, position=OuterRef("position")
        )
        rows.filter(Exists(given), stage=Stage.REFLECT_INSTRUCTION).update(stage=stage)
    if not run.teacher.base_url:
        _leave_out_the_rest(run)
    _insert_candidates(run)


def _leave_out_the_rest(run: Run) -> None:
    table = connection.ops.quote_name(RunSample._meta.db_table)
    with connection.cursor() as cursor:  # nothing depends on rows made a moment ago
        cursor.execute(
            f"DELETE FROM {table} WHERE run_id = %s AND stage = %s",  # noqa: S608
            [run.pk, Stage.REFLECT_INSTRUCTION.value],
        )
    if not RunSample.objects.filter(run=run).exists():
        raise ServiceError(
            gettext(
                "This dataset brought no rewrites, so there is nothing to judge without a teacher: "
                "choose a teacher, or import the file again and say which fields hold the rewrites."
            )
        )


def _insert_candidates(run: Run) -> None:
    """A response that was rewritten belongs to the rewritten instruction, where there is one."""
    quote = connection.ops.quote_name
    candidate, given, row = (
        quote(model._meta.db_table) for model in (Candidate, GivenRewrite, RunSample)
    )
    for kind, parent, joined in (
        ("instruction", "NULL", ""),
        (
            "response",
            "c.id",
            f"LEFT JOIN {candidate} c ON c.run_sample_id = r.id AND c.kind = 'instruction'",
        ),
    ):
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {candidate} (run_sample_id, kind, parent_id, instruction, input,"  # noqa: S608
                f" response, criticism, created_at)"
                f" SELECT r.id, g.kind, {parent}, g.instruction, g.input, g.response, g.criticism,"
                f" CURRENT_TIMESTAMP FROM {given} g"
                f" JOIN {row} r ON r.position = g.position AND r.run_id = %s {joined}"
                f" WHERE g.dataset_id = %s AND g.kind = '{kind}' ORDER BY r.position",
                [run.pk, run.dataset_id],
            )
