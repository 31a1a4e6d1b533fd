"""The audit log: who saw, changed, exported and administered what.

A service says what it did by ``record``; who asked for it is known from ``acting``, which the web,
the API and commands open around their work. An event is written in the transaction of the change
it tells of, so neither is ever there without the other.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refinement.models import AuditEvent, Dataset, Project, Run, RunSample
from refinement.services import one_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.auth.models import AnonymousUser
    from django.db.models import Model

    from refinement.models import User

Kind, Via = AuditEvent.Kind, AuditEvent.Via

# The kind of an action by its first word; a whole action goes first. All others changed something.
_KINDS = {
    "endpoint": Kind.ADMINISTERED,
    "student": Kind.ADMINISTERED,
    "member": Kind.ADMINISTERED,
    "account": Kind.ADMINISTERED,
    "token": Kind.ADMINISTERED,
    "webhook": Kind.ADMINISTERED,
    "person": Kind.ADMINISTERED,
    "export": Kind.EXPORTED,
    "download": Kind.EXPORTED,
    "page": Kind.SAW,
    "session": Kind.ENTERED,
    "refused": Kind.REFUSED,
}


ACTOR = "srt.actor"  # the key in request.META, for the API, which knows its user later


@dataclass
class Actor:
    """Who is acting. ``user`` may be lazy: it is only looked at when something is recorded."""

    user: User | AnonymousUser | None = None
    via: str = Via.COMMAND
    address: str | None = None
    recorded: int = field(default=0)


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


@contextmanager
def acting(actor: Actor) -> Iterator[Actor]:
    """While open, what this thread or task records was done by ``actor``."""
    token = _actor.set(actor)
    try:
        yield actor
    finally:
        _actor.reset(token)


def record(
    action: str, subject: Model | None = None, /, *, user: User | None = None, **detail: Any
) -> None:
    """Write that ``action`` was done to ``subject``: ``record("run.paused", run)``.

    ``user`` is who did it where the service knows, else who is ``acting``. ``detail`` is JSON, and
    never holds a secret or a text of a dataset.
    """
    actor = _actor.get() or Actor()
    actor.recorded += 1
    person = user or actor.user
    known = person if person is not None and person.is_authenticated else None
    event = AuditEvent(
        kind=kind_of(action),
        action=action,
        user_id=known.pk if known else None,
        who=known.get_username() if known else "",
        via=actor.via,
        address=actor.address,
        project_id=_project_of(subject),
        subject_type=subject._meta.model_name or "" if subject is not None else "",
        subject_id=subject.pk if subject is not None else None,
        subject=_name_of(subject)[:200],
        detail=detail,
    )
    one_row.insert(event)


def kind_of(action: str) -> AuditEvent.Kind:
    return _KINDS.get(action.partition(".")[0], Kind.CHANGED)


def _project_of(subject: Model | None) -> int | None:
    """Its id: the row itself is read by nobody here."""
    match subject:
        case Project():
            return subject.pk
        case Dataset() | Run():
            return subject.project_id
        case RunSample():
            return subject.run.project_id
        case _:
            project: Project | None = getattr(subject, "project", None)
            return project.pk if project else None


def _name_of(subject: Model | None) -> str:
    match subject:
        case None:
            return ""
        case RunSample():
            return f"pair {subject.position + 1} of {subject.run.name}"
        case _:
            return str(subject)
