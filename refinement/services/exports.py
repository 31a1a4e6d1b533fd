"""Exports: what leaves, as a folder of files with a manifest. ``docs/exports.md`` shows them.

Writing may be killed at any moment and delivered any number of times: the next worker that holds
the lease writes afresh, and a folder appears only when it is whole.
"""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Export
from refinement.services import audit, export_policy, webhooks
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.export_file import Written, write_files
from refinement.services.export_options import ExportOptions
from refinement.services.export_papers import papers
from refinement.services.leases import Lease, LeaseLost
from refinement.services.manifest import build_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refinement.models import Dataset, Run, User

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
OPEN = {Export.Status.PENDING, Export.Status.WRITING}


def create_export(
    *,
    run: Run | None = None,
    dataset: Dataset | None = None,
    user: User | None,
    options: Mapping[str, Any],
) -> Export:
    """Ask for the files of what ``run`` selects now, or of ``dataset`` as it was imported.

    The run may go on meanwhile. ``options``: see ``ExportOptions``, all optional. Raises
    ServiceError for any other, and for those that only a run can give to a dataset.
    """
    checked = ExportOptions.from_dict(options)
    source_of(run, dataset, checked)
    with transaction.atomic():
        export = Export.objects.create(
            run=run,
            dataset=None if run else dataset,
            options=checked.as_dict(),
            created_by=user,
        )
        audit.record("export.asked", export, user=user, **checked.as_dict())
        wake("refinement.write_export", export.pk)
    return export


def source_of(run: Run | None, dataset: Dataset | None, options: ExportOptions) -> Dataset:
    """The dataset that the pairs are of. Raises ServiceError for what it cannot give."""
    if run is not None:
        if options.spec:
            export_policy.check(run, options.spec)
        return run.dataset
    if dataset is None:
        raise ValueError("an export is of a run or of a dataset")
    if dataset.status != dataset.Status.READY:
        raise ServiceError(
            gettext("“%(name)s” is not imported, so there is nothing to export yet.")
            % {"name": dataset.name}
        )
    if options.preference:
        raise ServiceError(
            gettext("Preference pairs come from a run: a dataset has one response each.")
        )
    of_runs = options.filter or options.top_percent or options.policy
    if of_runs or set(options.columns) - {"lineage"}:
        raise ServiceError(
            gettext("Filters, the best part and scores come from a run: export a run.")
        )
    return dataset


def write_export(*, export_id: int) -> None:
    """Write the files; the worker's task. Ends in ``ready``, or in ``failed`` with a sentence.

    Does nothing while another worker holds the lease, or once the files are written.
    """
    lease = Lease.claim(
        Export, export_id, waiting=Export.Status.PENDING, working=Export.Status.WRITING
    )
    if lease is None:
        logger.info("export %d: written already, or by another worker", export_id)
        return
    export = Export.objects.select_related("run__dataset", "run__student", "dataset").get(
        pk=export_id
    )
    try:
        _Writing(export, lease).run()
    except LeaseLost:
        logger.warning("export %d: cancelled, or taken over by another worker", export_id)


class _Writing:
    """One try at one export."""

    def __init__(self, export: Export, lease: Lease) -> None:
        self._export = export
        self._lease = lease
        self._manifest: dict[str, Any] = {}
        self._told = 0.0

    def run(self) -> None:
        export = self._export
        parent = _parent_folder(export)
        _remove_tries(export)
        # A name for each try: one that is late cannot touch the files of the one that took over.
        folder = parent / f"export-{export.pk}-{uuid4().hex[:12]}"
        try:
            written = write_files(
                dataset=export.source,
                run=export.run,
                options=ExportOptions.from_dict(export.options),
                folder=folder,
                papers=self._papers,
                on_progress=self._progress,
            )
        except ServiceError as error:
            self._lease.finish(status=Export.Status.FAILED, error=str(error))
            return
        try:
            self._finish(written, folder)
        except LeaseLost:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _papers(self, written: Written) -> dict[str, str]:
        export = self._export
        options = ExportOptions.from_dict(export.options)
        self._manifest = build_manifest(
            export.source, export.run, options, written, created_at=export.created_at
        )
        return papers(export.source, export.run, options, written, self._manifest)

    def _progress(self, done: int, total: int) -> None:
        """Told to the page once a second, which also tells us of a cancel."""
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS or done == 0:
            self._told = now
            self._lease.renew(done_rows=done, total_rows=total)

    def _finish(self, written: Written, folder: Path) -> None:
        first = written.files[0]
        with transaction.atomic():
            self._lease.finish(
                status=Export.Status.READY,
                error="",
                file=f"exports/{self._export.created_at:%Y/%m}/{folder.name}/{first.name}",
                row_count=written.rows,
                sha256=first.sha256,
                manifest=self._manifest,
            )
            self._export.refresh_from_db()
            webhooks.export_happened(self._export)


def cancel_export(*, export: Export) -> None:
    """Stop an export that is not written yet; its worker notices within a second.

    Raises ServiceError where it has ended already.
    """
    stopped = Export.objects.filter(pk=export.pk, status__in=OPEN).update(
        status=Export.Status.CANCELLED, lease_expires_at=None
    )
    if not stopped:
        raise ServiceError(gettext("This export has ended already, so it cannot be cancelled."))


def delete_export(*, export: Export) -> None:
    """Delete an export and its files. Links to it stop working at once."""
    with transaction.atomic():
        audit.record("export.deleted", export)
        Export.objects.filter(pk=export.pk).delete()
        transaction.on_commit(lambda: _remove_files(export))


def _remove_files(export: Export) -> None:
    _remove_tries(export)
    if export.file and not folder_of(export).name.startswith(f"export-{export.pk}-"):
        export.file.delete(save=False)  # written by an earlier version: a file without a folder


def folder_of(export: Export) -> Path:
    """Where the files of a ready export lie."""
    return Path(export.file.path).parent


def _parent_folder(export: Export) -> Path:
    return Path(export.file.storage.path(f"exports/{export.created_at:%Y/%m}"))


def _remove_tries(export: Export) -> None:
    """What killed workers left behind. Only the holder of the lease may do this."""
    for pattern in (f"export-{export.pk}-*", f".export-{export.pk}-*"):
        for folder in _parent_folder(export).glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)


def export_to_folder(
    *,
    run: Run | None = None,
    dataset: Dataset | None = None,
    folder: Path,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Write what a run or a dataset holds into a new ``folder``, at once; returns the manifest.

    For commands: no Export row is made. Raises ServiceError.
    """
    checked = ExportOptions.from_dict(options)
    source = source_of(run, dataset, checked)
    manifest: dict[str, Any] = {}

    def write_papers(written: Written) -> dict[str, str]:
        manifest.update(build_manifest(source, run, checked, written))
        return papers(source, run, checked, written, manifest)

    write_files(dataset=source, run=run, options=checked, folder=folder, papers=write_papers)
    return manifest
