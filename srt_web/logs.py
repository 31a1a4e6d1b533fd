"""What a line of the log is about: request, run and sample, without every call naming them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from refinement.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_about: ContextVar[dict[str, Any] | None] = ContextVar("about", default=None)
_follower: Callable[[dict[str, Any]], None] | None = None


@contextmanager
def about(**names: Any) -> Iterator[None]:
    """While open, lines of this thread or task carry these names: ``about(run=7, sample=31)``."""
    token = _about.set({**(_about.get() or {}), **names})
    if _follower is not None:
        _follower(names)
    try:
        yield
    finally:
        _about.reset(token)


def names() -> dict[str, Any]:
    """What this thread or task is about just now."""
    return _about.get() or {}


def follow(follower: Callable[[dict[str, Any]], None] | None) -> None:
    """Tell ``follower`` (or, with ``None``, nobody) the names that ``about`` opens."""
    global _follower
    _follower = follower


class About(logging.Filter):
    """Gives each line ``about`` (for text) and every name by itself (for JSON)."""

    def filter(self, record: logging.LogRecord) -> bool:
        known = names()
        for name, value in known.items():
            setattr(record, f"srt_{name}", value)
        said = " ".join(f"{name}={value}" for name, value in known.items())
        record.about = f" [{said}]" if said else ""
        return True


class Lines(logging.Formatter):
    """One event a line, whatever is in it: a text of others can begin no line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        told = visible(record.getMessage()).replace("\r", "␍").replace("\n", "␊")
        return super().format(logging.makeLogRecord({**record.__dict__, "msg": told, "args": None}))
