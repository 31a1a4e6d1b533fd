"""Starting a run, and steering it: every change is conditional on the state it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext

from refinement.method import student_files
from refinement.method.errors import StudentError
from refinement.method.prompt_set import DEFAULT, RULES, PromptSet, problems
from refinement.models import Dataset, Run, RunSample, Sample, Webhook
from refinement.services import audit, policies, webhooks
from refinement.services.budget import SPENT_NOTICE, check_budget, has_room
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.given import begin_with_given
from refinement.services.models_registry import missing_key, student_spec, teacher_spec

if TYPE_CHECKING:
    from decimal import Decimal

    from refinement.method.specs import PolicySpec
    from refinement.models import Endpoint, Project, Student, User

Status, State = Run.Status, RunSample.State


def start_run(
    *,
    project: Project,
    dataset: Dataset,
    teacher: Endpoint,
    student: Student,
    policy: PolicySpec,
    user: User | None,
    name: str = "",
    protocol: str = "",
    template: str = "",
    limit: int | None = None,
    prompts: PromptSet = DEFAULT,
    reuse: bool = True,
    budget_tokens: int | None = None,
    budget_cost: Decimal | None = None,
    priority: str = Run.Priority.NORMAL,
) -> Run:
    """Begin to refine a dataset, or its first ``limit`` samples.

    Samples that came with rewrites begin with those as candidates. All that shapes the result is
    frozen in ``Run.config``. With ``reuse``, a question that was
    answered before in this project, by the same teacher, is answered from storage. The budget
    bounds what the teacher may use. Raises ServiceError where the dataset is not ready, the student
    cannot be loaded from its path, or a policy, prompt or budget makes no sense.
    """
    _check_dataset(project, dataset)
    if limit is not None and limit < 1:
        raise ServiceError(gettext("A run needs at least one sample: choose a larger limit."))
    fingerprint = _fingerprint(student)
    policies.check_policy(policy)
    check_budget(tokens=budget_tokens, cost=budget_cost)
    with transaction.atomic():
        run = Run.objects.create(
            project=project,
            dataset=dataset,
            teacher=teacher,
            student=student,
            name=(name.strip() or f"{dataset.name} by {teacher.name}")[:200],
            config=run_config(
                teacher=teacher,
                student=student,
                policy=policy,
                protocol=protocol,
                template=template,
                prompts=prompts,
                reuse=reuse,
            ),
            budget_tokens=budget_tokens,
            budget_cost=budget_cost,
            priority=priority,
            notice=missing_key(teacher),
            student_fingerprint=fingerprint,
            created_by=user,
        )
        _add_samples(run, limit)
        if dataset.given_rewrites.exists() or not teacher.base_url:
            begin_with_given(run)
            wake("refinement.score", run.pk)
        audit.record("run.started", run, user=user)
        wake("refinement.teach", run.pk)
    return run


def run_config(
    *,
    teacher: Endpoint,
    student: Student,
    policy: PolicySpec,
    protocol: str = "",
    template: str = "",
    prompts: PromptSet = DEFAULT,
    reuse: bool = True,
) -> dict[str, Any]:
    """The frozen copy that a run keeps of all that shapes its result.

    ``protocol`` and ``template`` replace those of the teacher and the student. Raises ServiceError.
    """
    for name, sentence in problems(prompts.as_dict()).items():
        raise ServiceError(f"{RULES[name].label}: {sentence}")
    return {
        "teacher": teacher_spec(teacher, protocol=protocol).as_dict(),
        "student": student_spec(student, template=template).as_dict(),
        "policy": policy.as_dict(),
        "prompts": prompts.as_dict(),
        "prompt_version": prompts.version,
        "reuse": reuse,
    }


def pause_run(*, run: Run) -> None:
    """Begin nothing new. What is under way is finished and saved."""
    if not _change(run, Status.PAUSED, from_=[Status.RUNNING]):
        raise ServiceError(
            gettext("Only a running run can be paused; this one is %(run)s.")
            % {"run": _status(run)}
        )
    audit.record("run.paused", run)


def resume_run(*, run: Run) -> None:
    with transaction.atomic():
        if not _change(run, Status.RUNNING, from_=[Status.PAUSED], notice=""):
            raise ServiceError(
                gettext("Only a paused run can be resumed; this one is %(run)s.")
                % {"run": _status(run)}
            )
        audit.record("run.resumed", run)
        policies.retry_changes(run=run)
        _wake_workers(run.pk)


def cancel_run(*, run: Run) -> None:
    """End a run for good. What it has done so far stays, and can be reviewed and exported."""
    if not _change(
        run,
        Status.CANCELLED,
        from_=[Status.RUNNING, Status.PAUSED],
        finished_at=timezone.now(),
    ):
        raise ServiceError(
            gettext("This run is %(run)s already: there is nothing to cancel.")
            % {"run": _status(run)}
        )
    audit.record("run.cancelled", run)


def set_budget(*, run: Run, tokens: int | None, cost: Decimal | None) -> None:
    """Raise, lower or lift the budget of a run that is not over. It holds from the next question.

    A run that its budget had paused goes on. Raises ServiceError.
    """
    check_budget(tokens=tokens, cost=cost)
    with transaction.atomic():
        open_runs = Run.objects.filter(pk=run.pk, status__in=[Status.RUNNING, Status.PAUSED])
        if not open_runs.update(budget_tokens=tokens, budget_cost=cost):
            raise ServiceError(
                gettext("This run is %(run)s: it needs no budget any more.") % {"run": _status(run)}
            )
        audit.record("run.budget_set", run, tokens=tokens, cost=None if cost is None else str(cost))
        run.refresh_from_db()
        if run.notice.startswith(SPENT_NOTICE) and has_room(run):
            open_runs.update(notice="")
            if run.status == Status.PAUSED:
                resume_run(run=run)
            run.refresh_from_db()


def retry_failed(*, run: Run, run_sample: RunSample | None = None, reason: str = "") -> int:
    """Put failed samples back to work in the stage where they failed.

    All of them, or one, or those that failed for ``reason``.

    A complete run runs again. Returns how many samples that are. Raises ServiceError for a
    cancelled run, and where nothing failed.
    """
    with transaction.atomic():
        # The row's lock keeps the run from being completed between the two changes.
        status = Run.objects.select_for_update().values_list("status", flat=True).get(pk=run.pk)
        if status == Status.CANCELLED:
            raise ServiceError(
                gettext("This run is cancelled: start a new run for what is missing.")
            )
        rows = RunSample.objects.filter(run_id=run.pk, state=State.FAILED)
        if run_sample is not None:
            rows = rows.filter(pk=run_sample.pk)
        if reason:
            rows = rows.filter(error_reason=reason)
        count = rows.update(
            state=State.READY,
            attempts=0,
            not_before=None,
            error_reason="",
            error="",
            updated_at=timezone.now(),
        )
        if not count:
            raise ServiceError(gettext("Nothing to retry: no sample has failed here."))
        _change(run, Status.RUNNING, from_=[Status.COMPLETE], finished_at=None, cut_applied=False)
        audit.record("run.retried", run, samples=count)
        _wake_workers(run.pk)
    return count


# -- Called by the pipeline -----------------------------------------------------------------------
def complete_if_finished(*, run_id: int) -> bool:
    """A running run is complete once every sample is done or failed, and its verdicts are final."""
    open_rows = RunSample.objects.filter(run_id=run_id, state__in=[State.READY, State.LEASED])
    if open_rows.exists():
        return False
    running = Run.objects.filter(pk=run_id, status=Status.RUNNING).first()
    if running is None or policies.cut_is_due(run_id=run_id) or policies.is_deriving(running):
        return False
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run_id).first()
        if open_rows.all().exists():  # a retry came in between
            return False
        ended = Run.objects.filter(pk=run_id, status=Status.RUNNING).update(
            status=Status.COMPLETE, finished_at=timezone.now(), notice=""
        )
        if ended:
            webhooks.run_happened(Run.objects.get(pk=run_id), Webhook.Event.RUN_FINISHED)
        return bool(ended)


def halt_run(*, run_id: int, notice: str) -> bool:
    """Pause a run that cannot go on without a person, and say why."""
    with transaction.atomic():
        paused = Run.objects.filter(pk=run_id, status=Status.RUNNING).update(
            status=Status.PAUSED, notice=notice
        )
        if paused:
            webhooks.run_happened(Run.objects.get(pk=run_id), Webhook.Event.RUN_PAUSED)
    return bool(paused)


def set_notice(*, run_id: int, notice: str) -> None:
    """What the user should know of a running run; empty: all is well."""
    Run.objects.filter(pk=run_id, status=Status.RUNNING).exclude(notice=notice).update(
        notice=notice
    )


# -- Helpers --------------------------------------------------------------------------------------
def _check_dataset(project: Project, dataset: Dataset) -> None:
    if dataset.project_id != project.pk:
        raise ServiceError(
            gettext("This dataset belongs to another project: choose one of this project.")
        )
    if dataset.status == Dataset.Status.FAILED:
        raise ServiceError(gettext("The import of this dataset failed: upload the file again."))
    if dataset.status != Dataset.Status.READY:
        raise ServiceError(
            gettext("This dataset is still being imported: start the run once it is ready.")
        )
    if not dataset.samples.exists():
        raise ServiceError(
            gettext("This dataset has no samples: upload a file with accepted records.")
        )


def _fingerprint(student: Student) -> str:
    try:
        student_files.check_student_path(student.path, student.revision)
        return student_files.fingerprint(student.path, student.revision)
    except StudentError as error:
        raise ServiceError(str(error)) from error


def _add_samples(run: Run, limit: int | None) -> None:
    """One row for each sample, made by the database itself: quick for any number of them."""
    given = ("id", "sample_id", "position", "run_id", "updated_at")
    values: dict[str, Any] = {"run_id": Value(run.pk), "updated_at": Now()} | {
        field.attname: Value(field.get_default())
        for field in RunSample._meta.concrete_fields
        if not field.null and field.attname not in given
    }
    samples = Sample.objects.filter(dataset_id=run.dataset_id).order_by("position")
    selected = samples.annotate(
        **{f"new_{name}": value for name, value in values.items()}
    ).values_list("pk", "position", *(f"new_{name}" for name in values))[:limit]
    sql, parameters = selected.query.sql_with_params()
    quote = connection.ops.quote_name
    columns = ", ".join(quote(name) for name in ("sample_id", "position", *values))
    table = quote(RunSample._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) {sql}", parameters)


def _change(run: Run, status: str, *, from_: list[str], **fields: Any) -> bool:
    """Change the status if it still is one of ``from_``; ``run`` then shows the change."""
    changed = Run.objects.filter(pk=run.pk, status__in=from_).update(status=status, **fields)
    if changed:
        for name, value in {"status": status, **fields}.items():
            setattr(run, name, value)
    return bool(changed)


def _status(run: Run) -> str:
    status = Run.objects.values_list("status", flat=True).get(pk=run.pk)
    return str(Status(status).label).lower()


def _wake_workers(run_id: int) -> None:
    wake("refinement.teach", run_id)
    wake("refinement.score", run_id)
