"""A run's budget: no question begins that could pass it.

What a question may cost at most is held back while it is under way, on the row of its sample, and
given free with its reply. So the bound holds for any number of workers. Only what a server charges
for an answer that never came is not known to us.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils.translation import gettext

from refinement.models import Run, RunSample, Webhook
from refinement.services import webhooks
from refinement.services.errors import ServiceError

MOST_TOKENS = 10**15
MOST_COST = Decimal(10) ** 7
SPENT_NOTICE = "The budget is spent: "  # how a notice about it begins


class Room(Enum):
    """Whether a question fits into what is left of a budget."""

    FITS = "fits"
    LATER = "later"  # not beside what is under way, which will cost less than it may
    SPENT = "spent"


@dataclass(frozen=True, slots=True)
class Need:
    """What a question may use at most."""

    tokens: int
    cost: Decimal


def reserve(*, run_id: int, row_id: int, need: Need) -> Room:
    """Hold ``need`` back for the sample's next question, if it fits."""
    with transaction.atomic():
        run = Run.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.budget_tokens is None and run.budget_cost is None:
            return Room.FITS
        held = _held(run_id, besides=row_id)
        if fits(run, Need(held.tokens + need.tokens, held.cost + need.cost)):
            RunSample.objects.filter(pk=row_id).update(
                reserved_tokens=need.tokens, reserved_cost=need.cost
            )
            return Room.FITS
    return Room.LATER if held.tokens or held.cost else Room.SPENT


def fits(run: Run, need: Need) -> bool:
    """Whether the run may use ``need`` beside what it has used."""
    tokens = run.prompt_tokens + run.completion_tokens + need.tokens
    return (run.budget_tokens is None or tokens <= run.budget_tokens) and (
        run.budget_cost is None or run.cost + need.cost <= run.budget_cost
    )


def has_room(run: Run) -> bool:
    """Whether anything at all is left."""
    return fits(run, Need(1, Decimal("1e-8") if run.budget_cost is not None else Decimal(0)))


def _held(run_id: int, *, besides: int) -> Need:
    """What live workers hold back for other samples."""
    rows = RunSample.objects.filter(
        run_id=run_id, state=RunSample.State.LEASED, lease_expires_at__gt=Now()
    ).exclude(pk=besides)
    held = rows.aggregate(tokens=Sum("reserved_tokens"), cost=Sum("reserved_cost"))
    return Need(held["tokens"] or 0, held["cost"] or Decimal(0))


def stop_for_budget(*, run_id: int) -> bool:
    """What follows when the next question does not fit: the run pauses, and says why.

    As long as the student can score what was paid for, the run stays running for it. Returns
    whether it is paused.
    """
    run = Run.objects.get(pk=run_id)
    student_stages = (RunSample.Stage.SELECT_INSTRUCTION, RunSample.Stage.SELECT_RESPONSE)
    for_student = RunSample.objects.filter(
        run_id=run_id,
        stage__in=student_stages,
        state__in=[RunSample.State.READY, RunSample.State.LEASED],
    ).exists()
    status = Run.Status.RUNNING if for_student else Run.Status.PAUSED
    notice = SPENT_NOTICE + _spent_sentence(run, for_student=for_student)
    with transaction.atomic():
        running = Run.objects.filter(pk=run_id, status=Run.Status.RUNNING)
        changed = running.update(status=status, notice=notice)
        if changed and not for_student:
            webhooks.run_happened(Run.objects.get(pk=run_id), Webhook.Event.BUDGET_REACHED)
    return bool(changed) and not for_student


def _spent_sentence(run: Run, *, for_student: bool) -> str:
    used = []
    if run.budget_tokens is not None:
        tokens = run.prompt_tokens + run.completion_tokens
        used.append(f"{tokens:,} of {run.budget_tokens:,} tokens")
    if run.budget_cost is not None:
        used.append(f"{run.cost:.4f} of {run.budget_cost:.4f} in money")
    then = "The student still scores what is there." if for_student else "The run is paused."
    return (
        f"{' and '.join(used)} are used, and the next question may need more than is left. {then} "
        "Raise the budget to go on."
    )


def check_budget(*, tokens: int | None, cost: Decimal | None) -> None:
    """Raises ServiceError for a budget that is none."""
    if tokens is not None and not 1 <= tokens <= MOST_TOKENS:
        raise ServiceError(gettext("A budget is at least one token; leave it empty for no bound."))
    if cost is not None and not (cost.is_finite() and 0 < cost <= MOST_COST):
        raise ServiceError(gettext("A budget in money is above 0; leave it empty for no bound."))
