"""Starting a run: what is checked first, what is frozen, and a row for each of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Now
from django.utils.translation import gettext

from refinement.method import student_files
from refinement.method.errors import StudentError
from refinement.method.prompt_set import DEFAULT, RULES, PromptSet, problems
from refinement.models import Dataset, Run, RunSample, Sample
from refinement.services import audit, policies
from refinement.services.budget import check_budget
from refinement.services.errors import ServiceError
from refinement.services.given import begin_with_given
from refinement.services.models_registry import missing_key, student_spec, teacher_spec
from refinement.services.runs import wake_workers

if TYPE_CHECKING:
    from decimal import Decimal

    from refinement.method.specs import PolicySpec
    from refinement.models import Endpoint, Project, Student, User


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
    frozen in ``Run.config``. With ``reuse``, a question that was answered before in this project,
    by the same teacher, is answered from storage. The budget bounds what the teacher may use.

    Raises ServiceError where the dataset is not ready, the student cannot be loaded from its path,
    or a policy, prompt or budget makes no sense.
    """
    _check_dataset(project, dataset)
    if limit is not None and limit < 1:
        raise ServiceError(gettext("A run needs at least one sample: choose a larger limit."))
    fingerprint = _fingerprint(student)
    policies.check_policy(policy)
    check_budget(tokens=budget_tokens, cost=budget_cost)
    run = Run(
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
    _begin(run, limit)
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
    check_prompts(prompts)
    return {
        "teacher": teacher_spec(teacher, protocol=protocol).as_dict(),
        "student": student_spec(student, template=template).as_dict(),
        "policy": policy.as_dict(),
        "prompts": prompts.as_dict(),
        "prompt_version": prompts.version,
        "reuse": reuse,
    }


def check_prompts(prompts: PromptSet) -> None:
    """Raises ServiceError for the first text that no teacher could be asked with."""
    for name, sentence in problems(prompts.as_dict()).items():
        raise ServiceError(f"{RULES[name].label}: {sentence}")


# -- Helpers --------------------------------------------------------------------------------------
def _begin(run: Run, limit: int | None) -> None:
    with transaction.atomic():
        run.save()
        _add_samples(run, limit)
        if run.dataset.given_rewrites.exists() or not run.teacher.base_url:
            begin_with_given(run)
        audit.record("run.started", run, user=run.created_by)
        wake_workers(run.pk)  # the student is loaded while the teacher writes


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
