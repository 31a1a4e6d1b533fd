"""What the page of a dataset shows: its pairs and what its import refused, page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db.models import Count
from django.utils.translation import gettext

from refinement.models import Dataset, Upload
from refinement.selectors.access import NoAccess

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from uuid import UUID

    from django.core.paginator import Page
    from django.db.models import QuerySet

    from refinement.models import KeptRecord, Project, RejectedRow, Sample, User

REJECTED_PER_PAGE = 20
SAMPLES_PER_PAGE = 5


def _page(rows: QuerySet[Any], size: int, count: int, number: str | int) -> Page[Any]:
    """A page of rows that are counted already: to count a million anew takes too long."""
    paginator = Paginator(rows, size)
    vars(paginator)["count"] = count  # which is a cached property
    return paginator.get_page(number)


def rejected_page(dataset: Dataset, number: str | int) -> Page[RejectedRow]:
    """One page of refused records in the order of the file; an unknown page is the nearest one."""
    return _page(dataset.rejected_rows.all(), REJECTED_PER_PAGE, dataset.rejected_count, number)


def sample_page(dataset: Dataset, number: str | int) -> Page[Sample]:
    """One page of pairs in the order of the file; an unknown page is the nearest one."""
    return _page(dataset.samples.all(), SAMPLES_PER_PAGE, dataset.sample_count, number)


def rejected_lines(dataset: Dataset) -> Iterator[str]:
    """Every refused record as one JSON line: line, field, reason, excerpt."""
    rows = dataset.rejected_rows.values("line", "field", "reason", "excerpt")
    for row in rows.iterator(chunk_size=1000):
        yield json.dumps(row, ensure_ascii=False) + "\n"


def ready_datasets(project: Project) -> QuerySet[Dataset]:
    """The datasets that a run can start from, newest first."""
    return project.datasets.filter(status=Dataset.Status.READY, sample_count__gt=0)


def own_upload(user: User, upload_id: UUID) -> Upload:
    """An unfinished upload of this very user. Raises NoAccess for anybody else's."""
    upload = Upload.objects.select_related("project").filter(pk=upload_id, user=user).first()
    if upload is None:
        raise NoAccess(gettext("No such upload."))
    return upload


def kept_reasons(dataset: Dataset) -> list[tuple[str, int]]:
    """Why records were kept as they are, with how many, the most frequent first."""
    rows = dataset.kept_records.values_list("reason").annotate(count=Count("id"))
    return [(reason, count) for reason, count in rows.order_by("-count", "reason")[:20]]


def kept_page(dataset: Dataset, number: str | int) -> Page[KeptRecord]:
    """One page of the records that were kept as they are."""
    return _page(dataset.kept_records.all(), SAMPLES_PER_PAGE, dataset.kept_count, number)


def earlier_mapping(dataset: Dataset, places: Collection[str]) -> Dataset | None:
    """The latest dataset of the project whose mapping names only fields that this file has too."""
    ready = dataset.project.datasets.filter(status=Dataset.Status.READY)
    for earlier in ready.exclude(mapping={}).order_by("-pk")[:20]:
        if all(theirs in places for theirs in earlier.mapping.values() if theirs):
            return earlier
    return None
