"""The registered teachers and students, with how much they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count

from refinement.models import Endpoint, Student

if TYPE_CHECKING:
    from collections.abc import Sequence


def endpoint_lines() -> Sequence[Endpoint]:
    """Each with ``run_count``; the embedded one first."""
    asked = Endpoint.objects.exclude(base_url="")  # the one without stands for rewrites in the data
    return list(asked.annotate(run_count=Count("runs")).order_by("-embedded", "name"))


def student_lines() -> Sequence[Student]:
    """Each with ``run_count``; the embedded one first."""
    return list(Student.objects.annotate(run_count=Count("runs")).order_by("-embedded", "name"))
