"""A student that teaches itself: the teacher is the very model that is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from refinement.method.specs import same_model
from refinement.models import Endpoint
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from refinement.models import Student


def teacher_that_is(student: Student) -> Endpoint:
    """The registered teacher that serves the model of ``student``. Raises ServiceError."""
    for endpoint in Endpoint.objects.order_by("-embedded", "pk"):
        if same_model(endpoint.model, student.path):
            return endpoint
    raise ServiceError(
        gettext(
            "No registered teacher serves the model of “%(name)s”. Serve it, for example "
            "with `transformers serve %(path)s`, and register that address as a teacher with the "
            "model's own name."
        )
        % {"name": student.name, "path": student.path}
    )
