"""What a line of the log is about: request, run and sample, without every call naming them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from refinement.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

_about: ContextVar[dict[str, Any] | None] = ContextVar("about", default=None)


@contextmanager
def about(**names: Any) -> Iterator[None]:
    """While open, lines of this thread or task carry these names: ``about(run=7, sample=31)``."""
    token = _about.set({**(_about.get() or {}), **names})
    try:
        yield
    finally:
        _about.reset(token)


class About(logging.Filter):
    """Gives each line ``about`` (for text) and every name by itself (for JSON)."""

    def filter(self, record: logging.LogRecord) -> bool:
        names = _about.get() or {}
        for name, value in names.items():
            setattr(record, f"srt_{name}", value)
        said = " ".join(f"{name}={value}" for name, value in names.items())
        record.about = f" [{said}]" if said else ""
        return True


class Lines(logging.Formatter):
    """One event a line, whatever is in it: a text of others can begin no line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        told = visible(record.getMessage()).replace("\r", "␍").replace("\n", "␊")
        return super().format(logging.makeLogRecord({**record.__dict__, "msg": told, "args": None}))
