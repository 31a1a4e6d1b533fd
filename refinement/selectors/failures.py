"""The samples of a run that failed, by reason and page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.paginator import Paginator
from django.utils.translation import gettext

from refinement.selectors.access import NoAccess
from refinement.selectors.runs import failed_samples

if TYPE_CHECKING:
    from django.core.paginator import Page

    from refinement.models import Run, RunSample

PER_PAGE = 50


def failed_page(run: Run, *, reason: str, number: str | int) -> Page[RunSample]:
    """One page of failed samples, of one reason or (empty) of all; the nearest existing page."""
    rows = failed_samples(run)
    if reason:
        rows = rows.filter(error_reason=reason)
    return Paginator(rows, PER_PAGE).get_page(number)


def failed_sample(run: Run, run_sample_id: int) -> RunSample:
    """Raises NoAccess where no such sample of this run has failed."""
    run_sample = failed_samples(run).filter(pk=run_sample_id).first()
    if run_sample is None:
        raise NoAccess(gettext("No such failed sample."))
    return run_sample
