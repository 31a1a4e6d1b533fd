"""Exports: what leaves, as a file with a manifest. ``docs/formats.md`` shows both.

Writing may be killed at any moment and delivered any number of times: the next worker that holds
the lease writes the file afresh, and a file appears only when it is whole.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import transaction

from refinement.models import Export
from refinement.services import audit, webhooks
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.export_file import ExportOptions, write_selection
from refinement.services.leases import Lease, LeaseLost
from refinement.services.manifest import build_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refinement.models import Run, User

logger = logging.getLogger(__name__)


def create_export(*, run: Run, user: User | None, options: Mapping[str, Any]) -> Export:
    """Ask for a file of what ``run`` selects now. The run may go on meanwhile.

    ``options``: ``include`` (``kept`` or ``all``) and ``with_scores`` (bool), both optional. Raises
    ServiceError for any other.
    """
    checked = ExportOptions.from_dict(options)
    with transaction.atomic():
        export = Export.objects.create(run=run, options=checked.as_dict(), created_by=user)
        audit.record("export.asked", export, user=user, **checked.as_dict())
        wake("refinement.write_export", export.pk)
    return export


def write_export(*, export_id: int) -> None:
    """Write the file; the worker's task. Ends in ``ready``, or in ``failed`` with a sentence.

    Does nothing while another worker holds the lease, or once the file is written.
    """
    lease = Lease.claim(
        Export, export_id, waiting=Export.Status.PENDING, working=Export.Status.WRITING
    )
    if lease is None:
        logger.info("export %d: written already, or by another worker", export_id)
        return
    export = Export.objects.select_related("run__dataset", "run__student").get(pk=export_id)
    try:
        _write_or_fail(export, lease)
    except LeaseLost:
        logger.warning("export %d: another worker has taken it over", export_id)


def _write_or_fail(export: Export, lease: Lease) -> None:
    try:
        _write(export, lease)
    except ServiceError as error:
        lease.finish(status=Export.Status.FAILED, error=str(error))


def _write(export: Export, lease: Lease) -> None:
    def keep_lease() -> None:
        if lease.nearly_over():
            lease.renew()

    options = ExportOptions.from_dict(export.options)
    folder = Path(export.file.storage.path(f"exports/{export.created_at:%Y/%m}"))
    _remove_earlier_tries(export, folder)
    # A name for each try: one that is late cannot touch the file of the one that took over.
    path = folder / f"export-{export.pk}-{uuid4().hex[:12]}.jsonl"
    tally = write_selection(export.run, path, options, on_progress=keep_lease)
    try:
        with transaction.atomic():
            lease.finish(
                status=Export.Status.READY,
                error="",
                file=f"exports/{export.created_at:%Y/%m}/{path.name}",
                row_count=tally.rows,
                sha256=tally.sha256,
                manifest=build_manifest(export.run, options, tally, created_at=export.created_at),
            )
            webhooks.export_happened(Export.objects.select_related("run").get(pk=export.pk))
    except LeaseLost:
        path.unlink()
        raise


def _remove_earlier_tries(export: Export, folder: Path) -> None:
    """What killed workers left behind. Only the holder of the lease may do this."""
    for pattern in (f"export-{export.pk}-*.jsonl", f".export-{export.pk}-*.part"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def export_to_path(*, run: Run, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write what ``run`` selects now to ``path``, at once; returns the manifest.

    For commands: no Export row is made. Raises ServiceError.
    """
    checked = ExportOptions.from_dict(options)
    return build_manifest(run, checked, write_selection(run, path, checked))
