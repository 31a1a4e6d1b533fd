"""Files that leave: counted, written, fetched, shared and pushed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from srt_client.wire import Problem, Wire, query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDED = {"ready", "failed", "cancelled"}


class Exports(Wire):
    """``options``: include, shape, container, filter, columns, deduplicate, top_percent, top_by,
    validation_percent, seed, kept_as_is, policy; all may be left out."""

    def selection(self, run: int) -> dict[str, Any]:
        """What the run selects now, in counts."""
        return self._json("GET", f"/runs/{run}/selection")

    def preview_export(self, run: int, **options: Any) -> dict[str, Any]:
        """How many rows would leave now."""
        said = {
            name: json.dumps(value) if isinstance(value, dict) else value
            for name, value in options.items()
        }
        return self._json("GET", f"/runs/{run}/exports/preview{query(said)}")

    def start_export(self, run: int, **options: Any) -> dict[str, Any]:
        """Ask for it; ``wait_export`` until it is written."""
        return self._json("POST", f"/runs/{run}/exports", options)

    def start_dataset_export(self, dataset: int, **options: Any) -> dict[str, Any]:
        """Of a dataset as it was imported."""
        return self._json("POST", f"/datasets/{dataset}/exports", options)

    def wait_export(self, export: int, *, seconds: float = 3600.0) -> dict[str, Any]:
        """Raises Problem where it failed or was cancelled."""
        found = self._wait(lambda: self._json("GET", f"/exports/{export}"), ENDED, seconds)
        if found["status"] != "ready":
            raise Problem(409, found["error"] or f"The export is {found['status']}.")
        return found

    def export(self, run: int, path: Path, **options: Any) -> dict[str, Any]:
        """Export what the run selects to ``path``, which appears when it is whole."""
        found = self.wait_export(self.start_export(run, **options)["id"])
        self.download(found["id"], path)
        return found

    def export_files(self, export: int) -> list[dict[str, Any]]:
        """Name and size of each: the data first."""
        return list(self._json("GET", f"/exports/{export}/files")["items"])

    def download(self, export: int, path: Path, *, name: str = "") -> None:
        """One file, or without a name the data; ``name="all.zip"``: everything as an archive."""
        place = f"/exports/{export}/file"
        if name:
            place = f"/exports/{export}/all.zip" if name == "all.zip" else f"{place}s/{quote(name)}"
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            self._download(place, file)
        part.replace(path)

    def cancel_export(self, export: int) -> dict[str, Any]:
        return self._json("POST", f"/exports/{export}/cancel")

    def delete_export(self, export: int) -> None:
        self._json("DELETE", f"/exports/{export}")

    # -- Where it goes --------------------------------------------------------------------------
    def link(self, export: int, *, days: int = 7) -> str:
        """An address that works without a login."""
        return str(self._json("POST", f"/exports/{export}/link", {"days": days})["url"])

    def push(self, export: int, repository: str, **options: Any) -> dict[str, Any]:
        """Upload to a Hugging Face repository. ``options``: private, token_variable."""
        body = {"repository": repository, **options}
        return self._json("POST", f"/exports/{export}/pushes", body)

    def pushes(self, export: int) -> Iterator[dict[str, Any]]:
        return self._pages(f"/exports/{export}/pushes")

    def wait_push(self, export: int, push: int, *, seconds: float = 3600.0) -> dict[str, Any]:
        """The push with the address of its commit. Raises Problem where it failed."""
        place = f"/exports/{export}/pushes/{push}"
        found = self._wait(lambda: self._json("GET", place), {"done", "failed"}, seconds)
        if found["status"] == "failed":
            raise Problem(409, found["error"])
        return found
