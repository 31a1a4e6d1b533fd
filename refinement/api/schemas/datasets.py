"""Datasets and their records, uploads in parts, and how a file is read."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Schema
from pydantic import Json

from refinement.api.schemas.common import BIGGEST_ID, Body, Text
from refinement.services.chunks import CHUNK_BYTES


class DatasetOut(Schema):
    """``draft``: a stored file whose import nobody asked for. ``kept_count``: records kept as they
    are, which hold nothing to refine. ``skipped_count``: duplicates left out."""

    id: int
    project: int = Field(alias="project_id")
    name: str
    filename: str
    format: str
    status: str
    error: str
    size_bytes: int
    read_bytes: int
    sha256: str
    record_count: int
    sample_count: int
    kept_count: int
    rejected_count: int
    skipped_count: int
    dry_run: bool
    created_at: datetime


class DatasetDetail(DatasetOut):
    """``profile``: figures of the whole file, once it was read."""

    mapping: dict[str, str]
    options: dict[str, Any]
    profile: dict[str, Any]


class SampleOut(Schema):
    id: int
    position: int
    line: int
    instruction: str
    input: str
    response: str
    context: list[dict[str, Any]]


class RejectedOut(Schema):
    line: int
    field: str
    reason: str
    excerpt: str


class KeptOut(Schema):
    line: int
    reason: str
    record: Any


# -- Before the import ----------------------------------------------------------------------------
Turns = Literal["last", "every"]
FieldName = Annotated[Text, Field(max_length=100)]
Where = Annotated[Text, Field(max_length=500)]
Mapping = dict[FieldName, Where]


class Reading(Body):
    """How to look at the file. Left out: what the content tells."""

    format: Text = Field("", max_length=40)
    mapping: Json[Mapping] | None = Field(
        None, description='JSON: which field of the file holds what, `{"instruction": "prompt"}`'
    )
    turns: Turns | None = Field(None, description="Of a chat: its last answer, or every one")


class FormatOut(Schema):
    """``fields``: name → what it holds. Those in ``required`` must be mapped."""

    name: str
    label: str
    fields: dict[str, str]
    required: list[str]


class RowOut(Schema):
    """A record as it would go in; ``kept`` or ``refused`` says why it is no pair."""

    line: int
    instruction: str | None = None
    input: str | None = None
    response: str | None = None
    rewrites: int = 0
    others: str = Field("", description="Further fields, kept beside the pair")
    kept: str = ""
    refused: str = ""
    excerpt: str = ""


class LookOut(Schema):
    """``guess``: the format that fits best, empty for none. ``like``: the earlier dataset that the
    mapping comes from. ``places``: all fields of the first records."""

    container: str
    guess: str
    format: str
    mapping: dict[str, str]
    turns: Turns
    like: int | None
    places: list[str]
    formats: list[FormatOut]
    rows: list[RowOut]


class ImportIn(Body):
    """How a draft is read. ``dry_run``: reads all of it, takes nothing in, and tells."""

    format: Text = Field("", max_length=40, description="Left out: the content tells")
    mapping: Mapping = Field(default_factory=dict, max_length=50)
    turns: Turns = "last"
    duplicates: Literal["keep", "exact", "near"] = Field("keep", description="Which are skipped")
    bad: Literal["skip", "refuse"] = Field("skip", description="The good rows, or nothing")
    dry_run: bool = False


# -- Uploads in parts -----------------------------------------------------------------------------
class UploadIn(Body):
    """``modified``: of the file, in milliseconds; a file with the same three goes on."""

    filename: Text = Field(min_length=1, max_length=255)
    size: int = Field(ge=1, le=BIGGEST_ID)
    modified: int = Field(0, ge=0, le=BIGGEST_ID)


class UploadOut(Schema):
    """``received``: the bytes that are here. ``chunk``: how many to send at a time."""

    id: UUID
    filename: str
    size: int = Field(alias="size_bytes")
    received: int = Field(alias="received_bytes")
    chunk: int

    @staticmethod
    def resolve_chunk(_: Any) -> int:
        return CHUNK_BYTES


class StoreIn(Body):
    name: Text = Field("", max_length=200, description="Left out: the file's")


# -- The server's folder --------------------------------------------------------------------------
class EntryOut(Schema):
    name: str
    path: str
    is_folder: bool
    size_bytes: int


class ServerFileIn(Body):
    path: Text = Field(min_length=1, max_length=1000)
    split: Text = Field("", max_length=100, description="Of a dataset folder; left out: all")
    name: Text = Field("", max_length=200, description="Left out: the file's")
