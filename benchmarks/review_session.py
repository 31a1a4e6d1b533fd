"""Thirty pairs reviewed by key in a real Chromium, every act timed: where does a reviewer wait?

    .venv/bin/python benchmarks/review_session.py [--samples 100000] [--database postgresql]

gunicorn serves a large run as in production. A reviewer reads each pair for a moment and then acts:
accepts, keeps, takes, drops, edits, comments, flags, undoes, looks at other versions, at both sides
and at tokens, goes back and forth. A time runs from the key to the frame that shows what it led to.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from large_run import add_arguments, large_run
from review_keys import reviewing, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from refinement.models import Run

READS_S = 0.7
PRESSED = "addEventListener('keydown', (e) => { window.pressed = e.timeStamp; }, true);"
ROOM = "document.querySelector('[data-room]:not([hidden])')"
TITLE = f"{ROOM}?.querySelector('#pair-title')?.textContent"
LAYOUT = f"{ROOM}?.querySelector('[data-layout][aria-current]')?.textContent"
VERSION = f"{ROOM}?.querySelector('[data-version][aria-current]')?.textContent"
TOAST = f"{ROOM}?.querySelector('.room-toasts')?.textContent"


class Session:
    """One reviewer at one screen. ``times``: milliseconds by the name of the act."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.times: defaultdict[str, list[float]] = defaultdict(list)

    def press(self, name: str, key: str, shows: str) -> None:
        """Press a key and wait for a frame in which ``shows`` is true."""
        self.page.wait_for_selector("[data-room][data-ready]", state="attached")
        time.sleep(READS_S)
        self.page.keyboard.press(key)
        seen = f"() => ({shows}) && performance.now() - window.pressed"
        took = self.page.wait_for_function(seen, polling="raf").json_value()
        self.times[name].append(float(took))

    def changes(self, name: str, key: str, what: str) -> None:
        before = self.page.evaluate(what)
        self.press(name, key, f"{what} && {what} !== {before!r}")

    # -- What reviewers do with a pair ------------------------------------------------------------
    def accept(self) -> None:
        self.changes("accept", "a", TITLE)

    def keep(self) -> None:
        self.changes("keep the original", "o", TITLE)

    def take(self) -> None:
        self.changes("another version", "n", VERSION)
        self.changes("another version", "p", VERSION)
        self.changes("take the candidate", "c", TITLE)

    def drop_and_undo(self) -> None:
        self.changes("drop", "d", TITLE)
        self.changes("undo", "u", TITLE)
        self.accept()

    def look_closely(self) -> None:
        for name in ("both sides", "plain", "tokens", "diff"):
            self.changes(name, "s", LAYOUT)
        self.accept()

    def edit(self) -> None:
        field = "document.activeElement?.name"
        self.press("open the editor", "e", f"{field} === 'response' || {field} === 'instruction'")
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type(" In short: yes.")
        self.changes("save the edit", "Control+Enter", TITLE)

    def comment(self) -> None:
        self.press("begin a comment", "m", "document.activeElement?.name === 'text'")
        self.page.keyboard.type("Is that so?")
        said = f"{ROOM}?.querySelector('.timeline')?.textContent.includes('Is that so?')"
        self.press("save the comment", "Control+Enter", said)
        self.accept()

    def flag(self) -> None:
        self.changes("flag", "g", TOAST)
        self.accept()

    def back_and_forth(self) -> None:
        self.changes("previous pair", "k", TITLE)
        self.changes("next pair", "j", TITLE)
        self.keep()

    def pairs(self) -> list[Callable[[], None]]:
        """Ten pairs, as they may come one after the other."""
        return [
            *(self.accept, self.look_closely, self.keep, self.edit, self.accept),
            *(self.take, self.drop_and_undo, self.comment, self.flag, self.back_and_forth),
        ]


def measure(run: Run, url: str, rounds: int) -> Session:
    with reviewing(run, url, PRESSED) as page:
        session = Session(page)
        for _ in range(rounds):
            for review in session.pairs():
                review()
    return session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=3, help="of ten pairs each")
    options = parser.parse_args()
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the browser's loop is in this thread
    with large_run(options) as run, served() as url:
        began = time.monotonic()
        session = measure(run, url, options.rounds)
        took = time.monotonic() - began
    waited = sum(sum(times) for times in session.times.values()) / 1000
    print(f"{'':24}{'times':>7}{'median':>9}{'most':>9}  ms")
    for name, times in sorted(session.times.items(), key=lambda item: -statistics.median(item[1])):
        print(f"{name:24}{len(times):7}{statistics.median(times):9.0f}{max(times):9.0f}")
    print(f"{10 * options.rounds} pairs in {took:.0f} s, {waited:.1f} s of them waited")


if __name__ == "__main__":
    main()
