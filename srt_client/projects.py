"""Who asks, projects, teachers and students."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srt_client.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator


class Projects(Wire):
    """What there is."""

    def me(self) -> dict[str, Any]:
        return self._json("GET", "/me")

    def tokens(self) -> Iterator[dict[str, Any]]:
        """One's own, ended ones too."""
        return self._pages("/me/tokens")

    def revoke_token(self, token: int) -> None:
        self._json("DELETE", f"/me/tokens/{token}")

    def status(self) -> dict[str, Any]:
        """How the service does, and what is wrong with it; for admins."""
        return self._json("GET", "/status")

    def projects(self) -> Iterator[dict[str, Any]]:
        return self._pages("/projects")

    def create_project(self, name: str) -> dict[str, Any]:
        return self._json("POST", "/projects", {"name": name})

    def teachers(self) -> Iterator[dict[str, Any]]:
        return self._pages("/teachers")

    def students(self) -> Iterator[dict[str, Any]]:
        return self._pages("/students")
