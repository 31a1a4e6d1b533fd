"""Datasets and their records."""

from datetime import datetime
from typing import Any

from ninja import Field, Schema


class DatasetOut(Schema):
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
    sample_count: int
    rejected_count: int
    created_at: datetime


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
