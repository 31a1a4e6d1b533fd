"""From key press to the next pair painted, in a real Chromium, on a large run.

    .venv/bin/python benchmarks/review_keys.py [--samples 1000000] [--times 60]

gunicorn serves the run as in production; a reviewer decides one pair after another by key, reading
each for a second. A time runs from the key's event to the first frame after the next pair's text
is on the page; "by the browser" is what Event Timing tells of the same keys, in steps of 8 ms, up
to the frame on the screen. "without" is the same as the first with the fetching ahead switched off:
the way over the server.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from large_run import add_arguments, client_for, large_run, p95, reviewer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from refinement.models import Run

READS_S = 1.0
NAMES = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome-stable", "google-chrome"),
)
WATCH = """
window.painted = [];
window.presented = [];
new PerformanceObserver((list) => {
  for (const event of list.getEntries()) {
    if (event.name === "keydown") window.presented.push(event.duration);
  }
}).observe({ type: "event", durationThreshold: 16 });
let pressed = 0, pair = null;
addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
const title = () => document.querySelector("[data-room]:not([hidden]) #pair-title")?.textContent;
new MutationObserver(() => {
  const now = title();
  if (!now || now === pair) return;
  pair = now;
  const from = pressed;
  // A frame's callback comes before it is drawn, the next urgent task after. A message would wait
  // for the server's answer to be read, where that has arrived meanwhile.
  requestAnimationFrame(() => scheduler.postTask(
    () => from && window.painted.push(performance.now() - from), { priority: "user-blocking" },
  ));
}).observe(document, {
  subtree: true, childList: true, attributes: true, attributeFilter: ["hidden"],
});
"""
OFF = "document.addEventListener('htmx:configRequest', e => delete e.detail.headers['SRT-Ahead'])"


@contextmanager
def served() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "srt_web.wsgi", "--bind", where, "--threads", "4"]
    server = subprocess.Popen([*command, "--log-level", "error"], env=os.environ)
    try:
        for _ in range(300):
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://{where}"
    finally:
        server.terminate()
        server.wait()


def press(page: Page, times: int) -> list[float]:
    page.evaluate("window.painted.length = window.presented.length = 0")
    for number in range(times):
        page.wait_for_selector("[data-room][data-ready]", state="attached")
        time.sleep(READS_S)
        page.keyboard.press("ao"[number % 2])
        page.wait_for_function(f"window.painted.length > {number}")
    return list(page.evaluate("window.painted"))


def tell(name: str, walls: list[float]) -> None:
    figures = (statistics.median(walls), p95(walls), max(walls))
    print(f"{name:38}{''.join(f'{value:10.1f}' for value in figures)}", flush=True)


@contextmanager
def reviewing(run: Run, url: str, script: str) -> Iterator[Page]:
    """A window of a signed-in reviewer at the closest calls of a run, with ``script`` in it."""
    from playwright.sync_api import sync_playwright

    cookie = client_for(reviewer(run.project)).cookies["sessionid"].value
    program = next(filter(None, map(shutil.which, NAMES)), None)
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True)
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": url}])
        page = context.new_page()
        page.add_init_script(script)
        page.goto(f"{url}/runs/{run.pk}/review?order=margin")
        yield page
        browser.close()


def measure(run: Run, url: str, times: int) -> None:
    with reviewing(run, url, WATCH) as page:
        press(page, 3)
        tell("key to next pair painted", press(page, times))
        tell("key to next frame, by the browser", page.evaluate("window.presented"))
        page.evaluate(OFF)
        tell("without fetching ahead", press(page, max(10, times // 4)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--times", type=int, default=60)
    options = parser.parse_args()
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the browser's loop is in this thread
    with large_run(options) as run, served() as url:
        print(f"{'':38}{'median':>10}{'p95':>10}{'most':>10}  ms")
        measure(run, url, options.times)


if __name__ == "__main__":
    main()
