"""Datasets: storing a file, asking for its import or for a dry run, cancelling, deleting.

A stored file is a draft until somebody asks for its import. The reading itself is the worker's:
``services/importing.py``.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext

from refinement.formats.records import printable
from refinement.formats.shape import EVERY, LAST
from refinement.formats.shapes import shape_of
from refinement.models import Dataset, GivenRewrite, KeptRecord, RejectedRow, Sample
from refinement.services import audit
from refinement.services.bulk import delete_rows
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.exports import delete_export
from refinement.services.importing import content_hash, import_dataset
from refinement.services.uploads import store_upload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.core.files import File

    from refinement.models import Project, User

__all__ = [
    "cancel_import",
    "content_hash",
    "create_dataset",
    "delete_dataset",
    "import_dataset",
    "reopen",
    "start_import",
]

Status = Dataset.Status

# What an import may be asked for; the first of each is the default.
OPTIONS = {
    "turns": (LAST, EVERY),
    "duplicates": ("keep", "exact", "near"),
    "bad": ("skip", "refuse"),
}


def create_dataset(
    *,
    project: Project,
    name: str,
    upload: File[bytes],
    filename: str,
    user: User | None,
    draft: bool = False,
) -> Dataset:
    """Store an upload and ask for its import. An empty ``name`` becomes that of the file.

    With ``draft`` nothing is asked for yet. Raises ServiceError for an empty or too large file, a
    disk that is full, or too long a name.
    """
    filename = clean_filename(filename)
    name = clean_name(name, filename)
    slot = Dataset().file
    stored = store_upload(upload, storage=slot.storage, place=new_place())
    with ExitStack() as undo:
        undo.callback(slot.storage.delete, stored.place)
        with transaction.atomic():
            dataset = Dataset.objects.create(
                project=project,
                name=name,
                file=stored.place,
                filename=filename,
                size_bytes=stored.size_bytes,
                sha256=stored.sha256,
                status=Status.DRAFT if draft else Status.PENDING,
                created_by=user,
            )
            audit.record("dataset.uploaded", dataset, user=user, sha256=stored.sha256)
            if not draft:
                wake("refinement.import_dataset", dataset.pk)
        undo.pop_all()
    return dataset


def new_place() -> str:
    """A name within the storage that no file has. Nothing of the user's own name is in it."""
    slot = Dataset().file
    return str(slot.field.generate_filename(slot.instance, f"{uuid4().hex}.data"))


def clean_filename(filename: str) -> str:
    """The last part of whatever path was sent, fit to be shown."""
    return printable(PurePath(filename.replace("\\", "/")).name, 255) or "upload"


def clean_name(name: str, filename: str) -> str:
    """The dataset's name, or what the file's name says. Raises ServiceError."""
    stem = filename.removesuffix(".gz").removesuffix(".zst")
    name = name.strip() or printable(PurePath(stem).stem, 200)
    if len(name) > 200:
        raise ServiceError(gettext("A dataset's name may have 200 characters at most."))
    if "\x00" in name:
        raise ServiceError(gettext("The name has a character that is not text (NUL)."))
    return name


def start_import(
    *,
    dataset: Dataset,
    format: str = "",  # noqa: A002 -- the word that users know
    mapping: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    dry_run: bool = False,
) -> None:
    """Ask for the import of a draft, or of one that failed. What an earlier try left is removed.

    Without a ``format`` the content tells. ``options`` are those of ``OPTIONS``. A ``dry_run``
    writes no sample and ends in a draft again. Raises ServiceError for what makes no sense.
    """
    chosen = _checked_options(options or {})
    wanted = _checked_mapping(format, mapping or {}, chosen["turns"])
    with transaction.atomic():
        changed = Dataset.objects.filter(
            pk=dataset.pk, status__in=[Status.DRAFT, Status.FAILED]
        ).update(
            **_blank(),
            status=Status.PENDING,
            format=format,
            mapping=wanted,
            options=chosen,
            dry_run=dry_run,
        )
        if not changed:
            raise ServiceError(
                gettext("This file is imported already, or its import is under way.")
            )
        _delete_contents(dataset)
        audit.record("dataset.checked" if dry_run else "dataset.imported", dataset)
        wake("refinement.import_dataset", dataset.pk)


def cancel_import(*, dataset: Dataset) -> None:
    """Stop an import or a dry run that waits or is under way. The file stays, as a draft.

    The worker notices at its next batch. Raises ServiceError where there is nothing to stop.
    """
    with transaction.atomic():
        changed = Dataset.objects.filter(
            pk=dataset.pk, status__in=[Status.PENDING, Status.IMPORTING]
        ).update(**_blank(), status=Status.DRAFT, lease_expires_at=None, dry_run=False)
        if not changed:
            raise ServiceError(gettext("This import has ended already: there is nothing to stop."))
        _delete_contents(dataset)
        audit.record("dataset.stopped", dataset)


def reopen(*, dataset: Dataset) -> None:
    """Make a failed import a draft again, so that another mapping can be tried."""
    with transaction.atomic():
        failed = Dataset.objects.filter(pk=dataset.pk, status=Status.FAILED)
        if not failed.update(**_blank(), status=Status.DRAFT):
            raise ServiceError(gettext("Only an import that failed can be tried in another way."))
        _delete_contents(dataset)


def delete_dataset(*, dataset: Dataset) -> None:
    """Delete a dataset, its samples and its file. Raises ServiceError while a run uses it."""
    with transaction.atomic():
        locked = Dataset.objects.select_for_update().get(pk=dataset.pk)
        names = list(locked.runs.values_list("name", flat=True)[:3])
        if names:
            raise ServiceError(
                gettext("“%(name)s” is used by runs (%(names)s), so it cannot be deleted.")
                % {"name": locked.name, "names": ", ".join(names)}
            )
        for export in locked.exports.all():
            delete_export(export=export)
        _delete_contents(locked)
        audit.record("dataset.deleted", locked, sha256=locked.sha256)
        locked.delete()
        transaction.on_commit(lambda: locked.file.delete(save=False))


def _blank() -> dict[str, Any]:
    """The figures of a file of which nothing was read."""
    counts = ("record", "sample", "kept", "rejected", "skipped")
    return {f"{name}_count": 0 for name in counts} | {
        "read_bytes": 0,
        "attempts": 0,
        "error": "",
        "profile": {},
    }


def _delete_contents(dataset: Dataset) -> None:
    delete_rows(dataset, Sample, KeptRecord, GivenRewrite, RejectedRow)


def _checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        if value not in OPTIONS.get(name, ()):
            raise ServiceError(
                gettext("An import knows no “%(name)s” of “%(value)s”.")
                % {"name": name, "value": value}
            )
    return {name: options.get(name, known[0]) for name, known in OPTIONS.items()}


def _checked_mapping(name: str, mapping: Mapping[str, str], turns: str) -> dict[str, str]:
    if not name:
        return dict(mapping)
    try:
        shape = shape_of(name, mapping, turns=turns)
    except KeyError:
        raise ServiceError(gettext("There is no format “%(name)s”.") % {"name": name}) from None
    except ValueError as error:
        raise ServiceError(
            gettext("This mapping does not fit: %(error)s.") % {"error": error}
        ) from None
    missing = [field for field in shape.required if not shape.mapping.get(field)]
    if missing:
        raise ServiceError(
            gettext("Choose the field that holds %(missing)s.")
            % {"missing": shape.fields[missing[0]]}
        )
    # An empty name says that a usual field is not taken.
    return dict.fromkeys(shape.defaults, "") | shape.mapping
