"""One teaching loop a run in each process: a second message stirs the loop that is there."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False)
class Desk:
    """The place of one loop. Its holder alone gives it up."""

    run_id: int
    stir: Callable[[], None]
    called: bool = False


class Desks:
    """Which runs are being worked on here. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._desks: dict[int, Desk] = {}

    def take(self, run_id: int, stir: Callable[[], None]) -> Desk | None:
        """Sit down to a run. None where somebody sits already, who is then stirred."""
        with self._lock:
            taken = self._desks.get(run_id)
            if taken is not None:
                taken.called = True
                taken.stir()
                return None
            self._desks[run_id] = Desk(run_id, stir)
            return self._desks[run_id]

    def hear(self, desk: Desk) -> None:
        """What was called until now is heard: the holder looks for work after this."""
        with self._lock:
            desk.called = False

    def leave(self, desk: Desk, *, heedless: bool = False) -> bool:
        """Stand up, unless somebody called since ``hear``; ``heedless``: in any case."""
        with self._lock:
            if desk.called and not heedless:
                return False
            if self._desks.get(desk.run_id) is desk:
                del self._desks[desk.run_id]
            return True
