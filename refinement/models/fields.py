"""Column types of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    Text = models.TextField[Any, Any]
else:
    Text = models.TextField


class ExactJSONField(Text):
    """JSON kept to the letter, in a text column.

    PostgreSQL's jsonb sorts the keys of an object and turns 1e5 into 100000, so a record that went
    in would not come out the same. What is kept here is never searched by the database.
    """

    if TYPE_CHECKING:  # where django-stubs looks for what may be set and what is got
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any
        _pyi_lookup_exact_type: Any

    def get_prep_value(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def from_db_value(self, value: str | None, *_: object) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        """The value as it is: forms and fixtures give JSON values, not JSON texts."""
        return value
