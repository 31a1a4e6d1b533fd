"""What the page of a dataset shows: its pairs and what its import refused, page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.core.paginator import Paginator

from refinement.models import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.paginator import Page
    from django.db.models import QuerySet

    from refinement.models import Project, RejectedRow, Sample

REJECTED_PER_PAGE = 20
SAMPLES_PER_PAGE = 5


def rejected_page(dataset: Dataset, number: str | int) -> Page[RejectedRow]:
    """One page of refused records in the order of the file; an unknown page is the nearest one."""
    return Paginator(dataset.rejected_rows.all(), REJECTED_PER_PAGE).get_page(number)


def sample_page(dataset: Dataset, number: str | int) -> Page[Sample]:
    """One page of pairs in the order of the file; an unknown page is the nearest one."""
    return Paginator(dataset.samples.all(), SAMPLES_PER_PAGE).get_page(number)


def rejected_lines(dataset: Dataset) -> Iterator[str]:
    """Every refused record as one JSON line: line, field, reason, excerpt."""
    rows = dataset.rejected_rows.values("line", "field", "reason", "excerpt")
    for row in rows.iterator(chunk_size=1000):
        yield json.dumps(row, ensure_ascii=False) + "\n"


def ready_datasets(project: Project) -> QuerySet[Dataset]:
    """The datasets that a run can start from, newest first."""
    return project.datasets.filter(status=Dataset.Status.READY, sample_count__gt=0)
