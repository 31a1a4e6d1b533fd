"""``srt pairs``, ``act``, ``undo-act``, ``history`` and ``restore``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from srt_client.verbs.saying import pairs_of, tell, tell_lines

if TYPE_CHECKING:
    import argparse

    from srt_client.client import Client
    from srt_client.verbs.saying import Verbs

WHERE = "narrow the list, such as show=undecided, flag=truncated, ifd_min=0.5, q=poem"


def add(verbs: Verbs) -> None:
    pairs = verbs.add_parser("pairs", help="list pairs of a run, one JSON object a line")
    pairs.add_argument("run", type=int)
    pairs.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help=WHERE)
    pairs.set_defaults(do=_pairs)
    act = verbs.add_parser("act", help="act on all pairs of a list; without --do only count them")
    act.add_argument("run", type=int)
    act.add_argument("action", choices=["accept", "original", "drop", "flag", "assign"])
    act.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help=WHERE)
    act.add_argument("--to", default="", help="whom to assign them to, by username")
    act.add_argument("--do", dest="really", action="store_true", help="do it, and wait until done")
    act.add_argument("--id", action="store_true", help="print nothing but the act's id")
    act.set_defaults(do=_act)
    undo = verbs.add_parser("undo-act", help="take a whole act back")
    undo.add_argument("run", type=int)
    undo.add_argument("act", type=int)
    undo.set_defaults(do=_undo_act)
    history = verbs.add_parser("history", help="every decision of a run, the latest first")
    history.add_argument("run", type=int)
    history.set_defaults(do=_history)
    restore = verbs.add_parser("restore", help="go back to what counted after a decision")
    restore.add_argument("run", type=int)
    restore.add_argument("decision", type=int)
    restore.set_defaults(do=_restore)


def _pairs(client: Client, options: argparse.Namespace) -> None:
    tell_lines(client.pairs(options.run, **pairs_of(options.where)))


def _act(client: Client, options: argparse.Namespace) -> None:
    where: dict[str, Any] = dict(pairs_of(options.where))
    found = client.preview_act(options.run, **where)
    if not options.really:
        tell(found)
        return
    print(f"{options.action}: {found['count']} pairs", file=sys.stderr)
    made = client.start_act(
        options.run, options.action, expected=found["count"], assignee=options.to, **where
    )
    tell(client.wait_act(options.run, made["id"]), only_id=options.id)


def _undo_act(client: Client, options: argparse.Namespace) -> None:
    client.undo_act(options.run, options.act)
    tell(client.wait_act(options.run, options.act))


def _history(client: Client, options: argparse.Namespace) -> None:
    tell_lines(client.history(options.run))


def _restore(client: Client, options: argparse.Namespace) -> None:
    made = client.restore(options.run, options.decision)
    tell(client.wait_act(options.run, made["id"]))
