"""What goes wrong with a whole file, and with one record of it."""

from __future__ import annotations


class FormatError(Exception):
    """The file cannot be read on. ``line`` is 1-based; ``None`` where it is about the whole file.

    ``str(error)`` is for the user and begins with the line.
    """

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message if line is None else f"Line {line}: {message}")
        self.line = line
        self.message = message


class RecordError(Exception):
    """One record is refused; the file can be read on."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
