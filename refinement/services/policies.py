"""Giving a run another policy, and deriving all its verdicts anew from the stored scores.

Nothing that people decided changes: their decisions stand, and a verdict that somebody accepted
stays as it was accepted. The work is done in the background in batches; ``Verdict.policy_version``
says which rows are still to do, so that it may be killed and begun again at any moment.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from refinement import policy_errors
from refinement.method.errors import PolicyError
from refinement.method.policies import get_policy
from refinement.method.specs import PolicySpec
from refinement.models import Decision, PolicyChange, Run, RunSample, Score, Verdict
from refinement.services import audit
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from refinement.models import User


def use_policy(*, run: Run, policy: PolicySpec, user: User | None) -> PolicyChange:
    """Make ``policy`` the run's own from now on. Raises ServiceError."""
    check_policy(policy)
    with transaction.atomic():
        locked = Run.objects.select_for_update().get(pk=run.pk)
        if PolicySpec.from_dict(locked.config.get("policy", {})) == policy:
            raise ServiceError(gettext("That is the run's policy already: nothing changes."))
        change = _change(locked, policy, user)
        audit.record("run.policy", run, user=user, policy=policy.name, version=change.version)
    run.refresh_from_db(fields=["config", "policy_version", "cut_applied"])
    return change


def check_policy(policy: PolicySpec) -> None:
    """Raises ServiceError for a policy that makes no sense, or whose encoder is not there."""
    try:
        get_policy(policy)
    except PolicyError as error:
        raise ServiceError(policy_errors.in_words(error)) from error
    if policy.needs_encoder and not (Path(policy.encoder) / "config.json").is_file():
        raise ServiceError(
            gettext(
                "There is no encoder at %(encoder)s: give the folder of a sentence-embedding "
                "model, with its config.json, tokenizer and weights."
            )
            % {"encoder": policy.encoder}
        )


def fail_change(*, run_id: int, error: str) -> None:
    """The change that is under way cannot go on without a person."""
    PolicyChange.objects.filter(run_id=run_id, applied_at=None).update(error=error)


def retry_changes(*, run: Run) -> None:
    """What failed is tried again."""
    if PolicyChange.objects.filter(run=run, applied_at=None).exclude(error="").update(error=""):
        wake("refinement.derive", run.pk)


def not_embedded(run: Run, encoder: str) -> QuerySet[Score]:
    """Scored pairs whose place under this encoder is not known."""
    scores = Score.objects.filter(run_sample__run=run)
    return scores.exclude(embedding__encoder=encoder)


def cut_is_due(*, run_id: int) -> bool:
    """At the run's end: whether its policy keeps only so many, and which ones is not yet told.

    Sees to it that it will be.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run_id)
        policy = PolicySpec.from_dict(run.config.get("policy", {}))
        if not policy.has_cut or run.cut_applied:
            return False
        if not run.policy_changes.filter(version=run.policy_version, applied_at=None).exists():
            _change(run, policy, None)
    return True


def needs_deriving(*, run_id: int) -> bool:
    run = Run.objects.filter(pk=run_id).first()
    return run is not None and is_deriving(run)


def runs_to_derive() -> list[int]:
    """Runs whose change of policy is not through, whatever became of its message."""
    return list(
        PolicyChange.objects.filter(applied_at=None, error="")
        .values_list("run_id", flat=True)
        .distinct()
    )


def derive_after_undo(*, run_sample: RunSample) -> None:
    """A verdict that stood because somebody accepted it may now be out of date."""
    run = run_sample.run
    if outdated(run).filter(run_sample=run_sample).exists():
        PolicyChange.objects.filter(run=run, version=run.policy_version).update(applied_at=None)
        wake("refinement.derive", run.pk)


def is_deriving(run: Run) -> bool:
    """Whether verdicts are still to be brought to the run's present policy."""
    return run.policy_changes.filter(applied_at=None).exists() or (
        run.policy_version > 0 and outdated(run).exists()
    )


def outdated(run: Run) -> QuerySet[Verdict]:
    """Verdicts of an earlier policy, but for those that somebody accepted."""
    return Verdict.objects.filter(
        _open_to_change(), run_sample__run=run, policy_version__lt=run.policy_version
    ).exclude(run_sample__decision__action=Decision.Action.ACCEPT)


def _open_to_change() -> Q:
    """Judged to the end, or before the teacher has begun with the response."""
    return Q(run_sample__state=RunSample.State.DONE) | Q(
        run_sample__stage=RunSample.Stage.REFLECT_RESPONSE,
        run_sample__state__in=[RunSample.State.READY, RunSample.State.FAILED],
    )


def _change(run: Run, policy: PolicySpec, user: User | None) -> PolicyChange:
    """The history's next row, and a message to whoever does the work. Called with a lock."""
    before = run.config.get("policy", {})
    run.policy_version += 1
    run.config = run.config | {"policy": policy.as_dict()}
    run.cut_applied = False
    run.save(update_fields=["policy_version", "config", "cut_applied"])
    change = PolicyChange.objects.create(
        run=run,
        version=run.policy_version,
        policy=policy.as_dict(),
        before=before,
        user=user,
        kept_before=kept_verdicts(run),
    )
    wake("refinement.derive", run.pk)
    return change


def kept_verdicts(run: Run) -> int:
    return Verdict.objects.filter(run_sample__run=run, kept=True).count()


def note_changes(*, run: Run, version: int, changed: int) -> None:
    PolicyChange.objects.filter(run=run, version=version).update(changed=F("changed") + changed)


def finish_change(*, run: Run, version: int, with_cut: bool) -> None:
    """Everything of this version is derived; earlier ones that it overtook are over as well."""
    now = timezone.now()
    PolicyChange.objects.filter(run=run, version=version, applied_at=None).update(
        applied_at=now, kept_after=kept_verdicts(run)
    )
    PolicyChange.objects.filter(run=run, version__lt=version, applied_at=None).update(
        applied_at=now
    )
    if with_cut:
        Run.objects.filter(pk=run.pk, policy_version=version).update(cut_applied=True)
