"""``srt run``, ``watch`` and ``decide``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from srt_client.verbs.saying import tell

if TYPE_CHECKING:
    import argparse

    from srt_client.client import Client
    from srt_client.verbs.saying import Verbs


NO_FILTERS = {"require_response_accepted": False, "max_ifd": None, "max_r_ifd": None}


def add(verbs: Verbs) -> None:
    run = verbs.add_parser("run", help="start a run")
    run.add_argument("--project", type=int, required=True)
    run.add_argument("--dataset", type=int, required=True)
    run.add_argument("--teacher", type=int, help="its id; left out: the embedded one")
    run.add_argument("--student", type=int, help="its id; left out: the embedded one")
    run.add_argument("--name")
    run.add_argument("--limit", type=int, help="only so many pairs")
    run.add_argument("--keep-all", action="store_true", help="without the policy's three filters")
    run.add_argument("--watch", action="store_true", help="stay until it has ended")
    run.add_argument("--id", action="store_true", help="print nothing but the run's id")
    run.set_defaults(do=_run)
    watch = verbs.add_parser("watch", help="watch a run until it has ended")
    watch.add_argument("run", type=int)
    watch.set_defaults(do=_watch)
    decide = verbs.add_parser("decide", help="say what counts for a pair")
    decide.add_argument("run", type=int)
    decide.add_argument("pair", type=int)
    decide.add_argument("action", choices=["accept", "original", "candidate", "drop", "undo"])
    decide.add_argument("--version", default="2", help="of `candidate`: 1, 2 or an edit's key")
    decide.set_defaults(do=_decide)


def _run(client: Client, options: argparse.Namespace) -> int:
    names = ("teacher", "student", "name", "limit")
    chosen = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
    if options.keep_all:
        chosen["policy"] = NO_FILTERS
    run = client.start_run(options.project, options.dataset, **chosen)
    tell(run, only_id=options.id)
    return _watch_run(client, run["id"]) if options.watch else 0


def _watch(client: Client, options: argparse.Namespace) -> int:
    return _watch_run(client, options.run)


def _watch_run(client: Client, run: int) -> int:
    """Progress to stderr. 1 where the run did not complete."""
    progress: dict[str, Any] = {}
    for progress in client.watch(run):
        line = f"{progress['done']} of {progress['total']} done, {progress['failed']} failed"
        notice = f" – {progress['notice']}" if progress["notice"] else ""
        print(f"{progress['status']}: {line}{notice}", file=sys.stderr)
    return 0 if progress.get("status") == "complete" else 1


def _decide(client: Client, options: argparse.Namespace) -> None:
    if options.action == "undo":
        tell(client.undo(options.run, options.pair))
        return
    pair = client.pair(options.run, options.pair)
    candidate = None
    if options.action == "candidate":
        candidate = next(
            (v["candidate"] for v in pair["versions"] if v["key"] == options.version), None
        )
        if candidate is None:
            known = ", ".join(v["key"] for v in pair["versions"] if v["candidate"])
            raise ValueError(
                f"this pair has no version “{options.version}”; it has: {known or 'none'}"
            )
    tell(
        client.decide(
            options.run, options.pair, options.action, candidate=candidate, seen=pair["decision"]
        )
    )
