"""One secret key for each data folder, made on first use: no known default to forget."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_or_make_secret_key(data_dir: Path) -> str:
    """Read ``data_dir/secret_key``, or write a new one readable by its owner alone.

    Of several processes that begin at once, all get the same key. Ends the program with a sentence
    where the folder cannot be used: this runs while the settings are read, before anything else.
    """
    path = data_dir / "secret_key"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        return path.read_text()
    except OSError as error:
        raise SystemExit(
            f"srt-web cannot use its data folder {data_dir} ({error.strerror}): free some space, "
            "mend its rights, or choose another folder with SRT_DATA_DIR."
        ) from error


def _make(path: Path) -> None:
    """Whole or not at all, and never over one that is there."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):  # another process was quicker
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
