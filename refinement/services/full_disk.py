"""Whether an error says that a disk is full: the file system's, SQLite's or PostgreSQL's."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db import DatabaseError

_SQLITE_FULL = sqlite3.SQLITE_FULL
_POSTGRESQL_FULL = "53100"  # disk_full, PostgreSQL's appendix A


def disk_is_full(error: OSError | DatabaseError) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    driver = error.__cause__
    return (
        getattr(driver, "sqlite_errorcode", None) == _SQLITE_FULL
        or getattr(driver, "sqlstate", None) == _POSTGRESQL_FULL
    )
