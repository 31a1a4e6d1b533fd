"""Files that leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srt_client.wire import Problem, Wire

if TYPE_CHECKING:
    from pathlib import Path


class Exports(Wire):
    """Exports."""

    def export(self, run: int, path: Path, **options: Any) -> dict[str, Any]:
        """Export what the run selects to ``path``, which appears when it is whole."""
        made = self._json("POST", f"/runs/{run}/exports", options)
        place = f"/exports/{made['id']}"
        found = self._wait(lambda: self._json("GET", place), {"ready", "failed"}, 3600.0)
        if found["status"] == "failed":
            raise Problem(409, found["error"])
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            self._download(f"{place}/file", file)
        part.replace(path)
        return found
