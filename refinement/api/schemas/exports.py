"""Exports."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field, Schema

from refinement.api.schemas.common import Body


class ExportIn(Body):
    """The options of an export; docs/exports.md lists them."""

    include: Literal["kept", "all"] = "kept"
    shape: str = "as_imported"
    container: str = "jsonl"
    filter: dict[str, str] = Field(default_factory=dict)
    columns: list[str] = Field(default_factory=list)
    deduplicate: bool = False
    top_percent: float | None = None
    top_by: str = "ifd"
    validation_percent: float = 0
    seed: int = 0
    kept_as_is: bool = True
    policy: dict[str, Any] = Field(default_factory=dict)


class ExportOut(Schema):
    id: int
    run: int | None = Field(alias="run_id")
    dataset: int | None = Field(alias="dataset_id")
    status: str
    error: str
    options: dict[str, Any]
    done_rows: int
    total_rows: int
    row_count: int
    sha256: str
    created_at: datetime
