"""Reading a project's archive: all of it, or nothing."""

from __future__ import annotations

import json
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from django.core.files import File
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from refinement import models as m
from refinement.readmodel.entries import WORTH_AN_ENTRY, upsert
from refinement.services import audit
from refinement.services.archives.tables import (
    BY_MODEL,
    FORMAT,
    MANIFEST,
    TABLES,
    VERSION,
    ArchiveError,
    Table,
    from_json,
    settled,
    target,
)
from refinement.services.bulk_rows import Rows, reserve_ids
from refinement.services.on_disk import sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Field, Model

LONGEST_LINE = 256 * 1024**2  # bytes of one row, which is held in memory


def import_project(path: Path) -> m.Project:
    """The project of the archive as a new one. Raises ArchiveError, and then nothing is kept.

    People are known by their names. Who is missing is made, without a password and switched off,
    so that every decision keeps its author. Teachers and students that are registered with the same
    name and settings are used, others are registered.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Reading(archive).read()
    except zipfile.BadZipFile as error:
        raise ArchiveError(
            f"{path.name} is no archive of a project, or not all of it: copy it again, or make it "
            "again with manage.py export_project."
        ) from error
    except (zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"{path.name} is damaged ({error}). Copy it again.") from error
    except FileNotFoundError as error:
        raise ArchiveError(f"There is no file {path}.") from error


class _Reading:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._columns: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._first: dict[type[Model], int] = {}
        self._shared: dict[type[Model], list[int]] = {}  # ids, by their place in the archive
        self._people: dict[str, int] = {}
        self._stored: list[str] = []  # names of files, to be removed if all comes to nothing

    def read(self) -> m.Project:
        self._read_manifest()
        own = [table for table in TABLES if not table.is_shared]
        if connection.vendor == "postgresql":
            # In transactions of their own: whoever works meanwhile goes on counting at once.
            self._reserve(own)
        try:
            with transaction.atomic():
                if connection.vendor != "postgresql":
                    self._reserve(own)
                for table in TABLES:
                    (self._read_shared if table.is_shared else self._read_rows)(table)
                project = m.Project.objects.get(pk=self._first[m.Project])
                self._make_entries(project)
                audit.record("project.restored", project)
        except BaseException:
            self._remove_files()
            raise
        return project

    def _reserve(self, tables: list[Table]) -> None:
        for table in tables:
            self._first[table.model] = reserve_ids(table.model, self._counts[table.name])

    # -- The manifest ----------------------------------------------------------------------------
    def _read_manifest(self) -> None:
        try:
            manifest = json.loads(self._archive.read(MANIFEST))
            known, version = manifest["format"] == FORMAT, int(manifest["version"])
            tables = {str(table["name"]): table for table in manifest["tables"]}
            self._columns = {n: [str(c) for c in table["columns"]] for n, table in tables.items()}
            self._counts = {name: int(table["rows"]) for name, table in tables.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError("This zip file is no archive of a project.") from error
        if not known:
            raise ArchiveError("This zip file is no archive of a project.")
        ours = {table.name: {field.name for field in table.fields} for table in TABLES}
        unknown = set(tables) - set(ours) or {
            column for name in tables for column in self._columns[name] if column not in ours[name]
        }
        if version > VERSION or unknown:
            raise ArchiveError(
                "The archive comes from a newer version of srt-web: update this one first."
            )
        for name in ours:  # tables that an older version did not have
            self._columns.setdefault(name, [])
            self._counts.setdefault(name, 0)
        if self._counts["project"] != 1 or min(self._counts.values()) < 0:
            raise ArchiveError("The archive must hold one project.")

    # -- Rows ------------------------------------------------------------------------------------
    def _rows(self, table: Table) -> Iterator[dict[str, Any]]:
        """Rows as they are written, by column. Raises ArchiveError for the first that is none."""
        columns, wanted, found = self._columns[table.name], self._counts[table.name], 0
        if wanted or columns:
            try:
                file = self._archive.open(f"{table.name}.jsonl")
            except KeyError as error:
                raise ArchiveError(f"The archive lacks its part {table.name}.jsonl.") from error
            with file:
                while line := file.readline(LONGEST_LINE):
                    found += 1
                    with _naming(table, found):
                        values = json.loads(line)
                        if not isinstance(values, list) or len(values) != len(columns):
                            raise ValueError("it has another number of columns")
                        yield dict(zip(columns, values, strict=True))
        if found != wanted:
            raise ArchiveError(
                f"The archive has {found} rows of {table.name}, not {wanted} as it says."
            )

    def _read_rows(self, table: Table) -> None:
        fields = [field for field in table.fields if field.name in self._columns[table.name]]
        names = " ".join(field.attname for field in fields)
        rows = Rows(table.model, names, first_id=self._first[table.model])
        try:
            for place, row in enumerate(self._rows(table)):
                with _naming(table, place + 1):
                    settled(table, row)
                    if table.model is m.Dataset:
                        row["file"] = self._store_file(place, row)
                    if table.model is m.BulkAct:
                        self._place_act(row)
                    rows.add(*(self._prepared(field, row[field.name]) for field in fields))
            rows.write()
        except DatabaseError as error:
            raise ArchiveError(
                f"The archive contradicts itself in {table.name}: {str(error).splitlines()[0]}."
            ) from error

    def _prepared(self, field: Field[Any, Any], value: Any) -> Any:
        model = target(field)
        if model is None:
            value = from_json(field, value)
        elif value is not None:
            value = self._person(value) if model is m.User else self._place(model, value)
        elif not field.null:
            raise ValueError(f"{field.name} is missing")
        return field.get_db_prep_save(value, connection)

    def _place(self, model: type[Model], place: Any) -> int:
        name = BY_MODEL[model].name
        if not isinstance(place, int) or not 0 <= place < self._counts[name]:
            raise ValueError(f"it refers to {name} {place!r}, which is not in the archive")
        return self._shared[model][place] if model in self._shared else self._first[model] + place

    def _person(self, name: Any) -> int:
        if not isinstance(name, str) or not name or len(name) > 150:
            raise ValueError("it names nobody")
        if name not in self._people:
            user, made = m.User.objects.get_or_create(username=name, defaults={"is_active": False})
            if made:
                user.set_unusable_password()
                user.save(update_fields=["password"])
            self._people[name] = user.pk
        return self._people[name]

    def _place_act(self, row: dict[str, Any]) -> None:
        row["through"] += self._first[m.BulkItem] - 1 if row["through"] else 0
        details = row["details"]
        if "decision" in details:
            place = int(details["decision"])
            row["details"] = details | {"decision": self._first[m.Decision] - 1 + place}
        if details.get("assignee") is not None:
            row["details"] = details | {"assignee": self._person(details["assignee"])}

    # -- What belongs to the installation --------------------------------------------------------
    def _read_shared(self, table: Table) -> None:
        """Teachers and students: those that are registered already, else new ones."""
        ids = self._shared[table.model] = []
        fields = [field for field in table.fields if field.name in self._columns[table.name]]
        for place, row in enumerate(self._rows(table)):
            with _naming(table, place + 1):
                values = {field.name: from_json(field, row[field.name]) for field in fields}
                ids.append(_registered(table.model, values))

    # -- Files and entries -----------------------------------------------------------------------
    def _store_file(self, place: int, row: dict[str, Any]) -> str:
        if not row["file"]:
            return ""
        name = PurePath(str(row["filename"])).name or "upload"
        file = m.Dataset._meta.get_field("file")
        try:
            with self._archive.open(f"files/{place}") as source:
                target_name = file.generate_filename(m.Dataset(), name)
                storage = file.storage
                stored = str(storage.save(target_name, File(source), max_length=file.max_length))
        except KeyError as error:
            raise ArchiveError(f"The archive lacks its part files/{place}.") from error
        self._stored.append(stored)
        sync(Path(storage.path(stored)))
        return stored

    def _remove_files(self) -> None:
        storage = m.Dataset._meta.get_field("file").storage
        for name in self._stored:
            storage.delete(name)

    def _make_entries(self, project: m.Project) -> None:
        """The queue's, once all is there: some of what they show came after what makes them."""
        with connection.cursor() as cursor:
            for run in project.runs.values_list("pk", flat=True):
                cursor.execute(upsert(f"{WORTH_AN_ENTRY} AND rs.run_id = {int(run)}"))


@contextmanager
def _naming(table: Table, number: int) -> Iterator[None]:
    """Say of which row it is that a value cannot be one."""
    try:
        yield
    except RecursionError as error:
        raise ArchiveError(f"Row {number} of {table.name} in the archive is no row.") from error
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError) as error:
        raise ArchiveError(f"Row {number} of {table.name} in the archive: {error}.") from error


def _registered(model: type[Model], values: dict[str, Any]) -> int:
    """One that is registered with this name and these settings, else a new one by a free name."""
    objects: QuerySet[Model] = QuerySet(model)
    if values.get("embedded"):
        values = {name: value for name, value in values.items() if name not in {"base_url", "path"}}
        own = objects.filter(embedded=True).first()
        if own is not None:
            return int(own.pk)
    same = objects.filter(**values).first()
    if same is not None:
        return int(same.pk)
    name, number = str(values["name"]), 1
    while objects.filter(name=values["name"]).exists():
        number += 1
        values["name"] = f"{name[:110]} ({number})"
        same = objects.filter(**values).first()
        if same is not None:
            return int(same.pk)
    return int(objects.create(**values).pk)
