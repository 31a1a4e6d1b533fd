"""Named views: a filter and an order of the queue that a project keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from refinement.models import SavedView
from refinement.services import audit
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refinement.models import Project, User

MOST_VIEWS = 100  # of a project: more, and nobody would find theirs


def save_view(*, project: Project, user: User, name: str, query: Mapping[str, str]) -> SavedView:
    """Keep ``query`` under a name; one of the same name is replaced. Raises ServiceError."""
    name = " ".join(name.replace("\0", "").split())
    if not name:
        raise ServiceError(gettext("Give the view a name, so that others know what it shows."))
    if len(name) > 80:
        raise ServiceError(
            gettext("The name has %(name)s characters; shorten it to 80 at most.")
            % {"name": len(name)}
        )
    known = SavedView.objects.filter(project=project)
    if known.count() >= MOST_VIEWS and not known.filter(name=name).exists():
        raise ServiceError(
            gettext("A project keeps %(most_views)s views at most: forget one first.")
            % {"most_views": MOST_VIEWS}
        )
    view, _ = SavedView.objects.update_or_create(
        project=project, name=name, defaults={"query": dict(query), "created_by": user}
    )
    audit.record("view.saved", view, user=user)
    return view


def forget_view(*, view: SavedView) -> None:
    audit.record("view.forgotten", view)
    SavedView.objects.filter(pk=view.pk).delete()
