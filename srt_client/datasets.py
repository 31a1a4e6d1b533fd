"""Files sent, looked into, and imported."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from srt_client.wire import RETRIED, Problem, Wire, query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BYTES = {"Content-Type": "application/octet-stream"}


class Datasets(Wire):
    """Uploads and imports."""

    def upload(
        self, project: int, path: Path, *, name: str = "", draft: bool = False
    ) -> dict[str, Any]:
        """Send a file, of any size, as a stream. It is imported by a worker: ``wait_dataset``.

        With ``draft`` it is only stored: ``look`` into it, then ``start_import``.
        """
        words = query({"filename": path.name, "name": name, "draft": draft})
        key = uuid.uuid4().hex
        with path.open("rb") as file:
            return self._json(
                "POST",
                f"/projects/{project}/datasets{words}",
                file=file,
                headers={
                    **BYTES,
                    "Content-Length": str(path.stat().st_size),
                    "Idempotency-Key": key,
                },
            )

    def send(self, project: int, path: Path, *, name: str = "") -> dict[str, Any]:
        """Store a file as a draft, sent in parts. Again after a break, it goes on from there."""
        about = path.stat()
        body = {
            "filename": path.name,
            "size": about.st_size,
            "modified": about.st_mtime_ns // 1_000_000,
        }
        upload = self._json("POST", f"/projects/{project}/uploads", body)
        place = f"/uploads/{upload['id']}"
        with path.open("rb") as file:
            while upload["received"] < about.st_size:
                file.seek(upload["received"])
                upload = self._send_part(place, upload, file.read(upload["chunk"]))
        return self._json("POST", f"{place}/finish", {"name": name})

    def _send_part(self, place: str, upload: dict[str, Any], part: bytes) -> dict[str, Any]:
        """How the upload stands then. A part that broke off counts as far as it came."""
        if not part:
            raise ValueError("the file became shorter while it was sent")
        try:
            answer = self._send("PUT", f"{place}?offset={upload['received']}", part, BYTES)
            with answer:
                found: dict[str, Any] = json.loads(answer.read())
        except Problem as problem:
            if problem.status not in RETRIED | {0, 409}:
                raise
            return self._json("GET", place)
        return found

    def dataset(self, dataset: int) -> dict[str, Any]:
        return self._json("GET", f"/datasets/{dataset}")

    def delete_dataset(self, dataset: int) -> None:
        self._json("DELETE", f"/datasets/{dataset}")

    def rejected(self, dataset: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/datasets/{dataset}/rejected")

    # -- The import of a draft ------------------------------------------------------------------
    def look(
        self,
        dataset: int,
        *,
        format: str = "",  # noqa: A002 -- the word that users know
        mapping: Mapping[str, str] | None = None,
        turns: str | None = None,
    ) -> dict[str, Any]:
        """What the file seems to hold, and its first records as they would go in."""
        said = None if mapping is None else json.dumps(mapping)
        words = query({"format": format, "mapping": said, "turns": turns})
        return self._json("GET", f"/datasets/{dataset}/look{words}")

    def start_import(self, dataset: int, **options: Any) -> dict[str, Any]:
        """``options``: format, mapping, turns, duplicates, bad, dry_run."""
        return self._json("POST", f"/datasets/{dataset}/import", options)

    def stop_import(self, dataset: int) -> dict[str, Any]:
        return self._json("POST", f"/datasets/{dataset}/stop")

    def reopen(self, dataset: int) -> dict[str, Any]:
        """Make an import that failed a draft again."""
        return self._json("POST", f"/datasets/{dataset}/reopen")

    def wait_dataset(self, dataset: int, *, seconds: float = 3600.0) -> dict[str, Any]:
        """The dataset once it is imported, or a draft again after a dry run.

        Raises Problem where the import failed.
        """
        found = self._wait(lambda: self.dataset(dataset), {"ready", "failed", "draft"}, seconds)
        if found["status"] == "failed":
            raise Problem(409, found["error"])
        return found

    # -- Files that lie on the server -----------------------------------------------------------
    def server_folder(self, project: int, within: str = "") -> list[dict[str, Any]]:
        """For admins who own the project."""
        found = self._json("GET", f"/projects/{project}/server-folder{query({'within': within})}")
        return list(found["items"])

    def take_from_server(self, project: int, path: str, **options: Any) -> dict[str, Any]:
        """A draft of it. ``options``: split, name."""
        return self._json("POST", f"/projects/{project}/server-folder", {"path": path, **options})
