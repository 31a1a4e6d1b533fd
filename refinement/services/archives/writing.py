"""Writing a project's archive: from one view of the database, a row at a time."""

from __future__ import annotations

import json
import shutil
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from django.db.models import QuerySet

from refinement import models as m
from refinement.selectors.snapshot import snapshot
from refinement.services.archives.tables import (
    BY_MODEL,
    FORMAT,
    MANIFEST,
    TABLES,
    VERSION,
    Table,
    as_json,
    settled,
    target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.db.models import Model

    Ids = np.ndarray[Any, np.dtype[np.int64]]

# Every entry of every archive is of this moment: the same project gives the same bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def export_project(project: m.Project, path: Path) -> dict[str, int]:
    """Write the archive; ``path`` appears when it is whole. Returns the rows of each table.

    Others may go on working meanwhile: it holds what was there at one moment. Raises OSError.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with snapshot() as using, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            counts = _Writing(project.pk, using, archive).write()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return counts


class _Writing:
    def __init__(self, project_id: int, using: str, archive: zipfile.ZipFile) -> None:
        self._project = project_id
        self._using = using
        self._archive = archive
        self._names = dict(m.User.objects.using(using).values_list("pk", "username"))
        self._ids: dict[type[Model], Ids] = {}  # in the order of the rows
        for table in TABLES:
            found = self._rows(table).values_list("pk", flat=True).iterator(chunk_size=20_000)
            self._ids[table.model] = np.fromiter(found, dtype=np.int64)

    def write(self) -> dict[str, int]:
        counts = {table.name: len(self._ids[table.model]) for table in TABLES}
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "tables": [
                {
                    "name": table.name,
                    "columns": [field.name for field in table.fields],
                    "rows": counts[table.name],
                }
                for table in TABLES
            ],
        }
        with self._archive.open(_entry(MANIFEST), "w") as file:
            file.write(json.dumps(manifest, indent=1).encode())
        for table in TABLES:
            with self._archive.open(_entry(f"{table.name}.jsonl"), "w", force_zip64=True) as file:
                for row in self._lines(table):
                    file.write(row)
        self._write_files()
        return counts

    def _rows(self, table: Table) -> QuerySet[Any]:
        rows: QuerySet[Any] = QuerySet(table.model).using(self._using)
        if not table.is_shared:
            return rows.filter(**{table.of: self._project}).order_by("pk")
        # By name: elsewhere these models may have been registered in another order.
        used = rows.filter(runs__project=self._project)
        if table.model is m.Endpoint:
            used |= rows.filter(trials__project=self._project)
        return rows.filter(pk__in=used.values("pk")).order_by("-embedded", "name")

    def _lines(self, table: Table) -> Iterator[bytes]:
        fields = table.fields
        rows = self._rows(table).values_list(*(field.attname for field in fields))
        for values in rows.iterator(chunk_size=2_000):
            row = {
                field.name: self._reference(target(field), value)
                if target(field)
                else as_json(field, value)
                for field, value in zip(fields, values, strict=True)
            }
            settled(table, row)
            if row.get("embedded"):  # where it lies is a matter of the installation
                row |= {name: "" for name in ("base_url", "path") if name in row}
            if table.model is m.Dataset:
                row["file"] = self._has_file(str(row["file"] or ""))
            if table.model is m.BulkAct:
                self._place_act(row)
            yield json.dumps(list(row.values()), ensure_ascii=False).encode() + b"\n"

    def _reference(self, model: type[Model] | None, value: int | None) -> int | str | None:
        """The place of a row; a person's name. What is not in the archive is nothing."""
        if value is None or model is None:
            return None
        if model is m.User:
            return self._names[value]
        ids = self._ids[model]
        if BY_MODEL[model].is_shared:
            return int(np.flatnonzero(ids == value)[0])
        at = int(np.searchsorted(ids, value))
        return at if at < len(ids) and ids[at] == value else None

    def _place_act(self, row: dict[str, Any]) -> None:
        """What an act remembers by id beside its references: up to which decision, and item."""
        row["through"] = int(np.searchsorted(self._ids[m.BulkItem], row["through"], "right"))
        details = row["details"]
        if "decision" in details:
            upto = np.searchsorted(self._ids[m.Decision], details["decision"], "right")
            row["details"] = details | {"decision": int(upto)}
        if details.get("assignee") is not None:
            row["details"] = details | {"assignee": self._names[details["assignee"]]}

    # -- The uploaded files ----------------------------------------------------------------------
    def _has_file(self, name: str) -> bool:
        storage = m.Dataset._meta.get_field("file").storage
        return bool(name) and storage.exists(name)

    def _write_files(self) -> None:
        datasets = m.Dataset.objects.using(self._using).filter(project=self._project)
        for place, dataset in enumerate(datasets.order_by("pk")):
            if not self._has_file(dataset.file.name or ""):
                continue
            with (
                suppress(FileNotFoundError),
                dataset.file.open("rb") as source,
                self._archive.open(_entry(f"files/{place}"), "w", force_zip64=True) as copy,
            ):
                shutil.copyfileobj(source, copy, 1 << 20)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, NO_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
