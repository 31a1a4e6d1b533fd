"""Browsers that look at every page in turn, and what they were answered."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 15.0  # seconds for one page
GONE = 0  # the status of a page that was not answered


@dataclass(frozen=True)
class Visit:
    """Times are of ``time.monotonic``."""

    path: str
    began: float
    ended: float
    status: int

    @property
    def failed(self) -> bool:
        return self.status == GONE or self.status >= 500


@dataclass
class Visitors:
    """``with Visitors(...)``: they walk until the block ends."""

    port: int
    session: str
    paths: Sequence[str]
    many: int = 2
    visits: list[Visit] = field(default_factory=list)
    _leave: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._walk, args=[number], daemon=True)
            for number in range(self.many)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join()

    def _walk(self, number: int) -> None:
        at = number * len(self.paths) // self.many
        while not self._leave.wait(0.4):
            self.visits.append(self.look(self.paths[at % len(self.paths)]))
            at += 1

    def look(self, path: str) -> Visit:
        began, status = time.monotonic(), GONE
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Cookie": f"sessionid={self.session}"})
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        return Visit(path, began, time.monotonic(), status)
