"""Files sent, and their import."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from srt_client.wire import Problem, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Datasets(Wire):
    """Uploads and imports."""

    def upload(self, project: int, path: Path, *, name: str = "") -> dict[str, Any]:
        """Send a file, of any size, as a stream. It is imported by a worker: ``wait_dataset``."""
        query = urlencode({"filename": path.name, "name": name})
        key = uuid.uuid4().hex
        with path.open("rb") as file:
            return self._json(
                "POST",
                f"/projects/{project}/datasets?{query}",
                file=file,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(path.stat().st_size),
                    "Idempotency-Key": key,
                },
            )

    def dataset(self, dataset: int) -> dict[str, Any]:
        return self._json("GET", f"/datasets/{dataset}")

    def rejected(self, dataset: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/datasets/{dataset}/rejected")

    def wait_dataset(self, dataset: int, *, seconds: float = 3600.0) -> dict[str, Any]:
        """The dataset once it is imported. Raises Problem where the import failed."""
        found = self._wait(lambda: self.dataset(dataset), {"ready", "failed"}, seconds)
        if found["status"] == "failed":
            raise Problem(409, found["error"])
        return found
