"""One secret key for each data folder, made on first use: no known default to forget."""

import secrets
from pathlib import Path


def read_or_make_secret_key(data_dir: Path) -> str:
    """Read ``data_dir/secret_key``, or write a new one readable by its owner alone."""
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    key = path.read_text().strip()
    if not key:
        key = secrets.token_urlsafe(50)
        path.write_text(key)
    return key
