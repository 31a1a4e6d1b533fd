"""Reading the audit log: filtered, newest first, in pages that cost the same at any depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refinement.models import AuditEvent, Dataset, Export, Project, Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

PER_PAGE = 100
# What an address is about, by the names that addresses use; the narrowest first.
_SUBJECTS: dict[str, type[Export | Dataset | Run | Project]] = {
    "export_id": Export,
    "dataset_id": Dataset,
    "run_id": Run,
    "project_id": Project,
}


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is looked for; what is empty filters nothing. ``before``: only older than this event."""

    kind: str = ""
    who: str = ""
    project: Project | None = None
    since: date | None = None
    until: date | None = None
    before: int | None = None


def audit_page(wanted: AuditFilter, *, size: int = PER_PAGE) -> tuple[list[AuditEvent], int | None]:
    """The newest events that fit, and ``before`` of the next page (``None``: that was all)."""
    events = AuditEvent.objects.select_related("project")
    if wanted.kind:
        events = events.filter(kind=wanted.kind)
    if wanted.who:
        events = events.filter(who=wanted.who)
    if wanted.project:
        events = events.filter(project=wanted.project)
    if wanted.since:
        events = events.filter(at__date__gte=wanted.since)
    if wanted.until:
        events = events.filter(at__date__lte=wanted.until)
    if wanted.before:
        events = events.filter(pk__lt=wanted.before)
    found = list(events[: size + 1])
    return found[:size], found[size - 1].pk if len(found) > size else None


def subject_of(parts: Mapping[str, Any]) -> Export | Dataset | Run | Project | None:
    """What an address with these named parts is about; ``None`` where there is no such thing."""
    for name, model in _SUBJECTS.items():
        if name in parts:
            return model.objects.filter(pk=parts[name]).first()
    return None
