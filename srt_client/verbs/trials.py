"""``srt try`` and ``estimate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from srt_client.verbs.saying import pairs_of, tell

if TYPE_CHECKING:
    import argparse

    from srt_client.client import Client
    from srt_client.verbs.saying import Verbs


def add(verbs: Verbs) -> None:
    one = verbs.add_parser("try", help="ask a teacher about one pair before a run")
    _asked(one)
    one.add_argument("--pair", type=int, default=1, help="its number, from 1")
    one.add_argument("--show", action="store_true", help="only show what would be asked")
    one.set_defaults(do=_try)
    few = verbs.add_parser("estimate", help="ask about a few pairs; what a run would use")
    _asked(few)
    few.add_argument("--limit", type=int, help="of a run over only so many pairs")
    few.set_defaults(do=_estimate)


def _asked(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", type=int, required=True)
    parser.add_argument("--dataset", type=int, required=True)
    parser.add_argument("--teacher", type=int, help="its id; left out: the embedded one")
    parser.add_argument("--protocol", choices=["staged", "tagged", "json_schema"])
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a prompt in other words, from a file",
    )


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    words = {name: Path(place).read_text() for name, place in pairs_of(options.prompt).items()}
    asked = {"teacher": options.teacher, "protocol": options.protocol, "prompts": words}
    return {name: value for name, value in asked.items() if value}


def _try(client: Client, options: argparse.Namespace) -> None:
    asked = _chosen(options) | {"pair": options.pair}
    if options.show:
        tell(client.preview_questions(options.project, options.dataset, **asked))
        return
    made = client.start_trial(options.project, options.dataset, **asked)
    tell(client.wait_trial(made["id"]))


def _estimate(client: Client, options: argparse.Namespace) -> None:
    asked = _chosen(options) | {"measure": True, "limit": options.limit}
    made = client.start_trial(options.project, options.dataset, **asked)
    found = client.wait_trial(made["id"], limit=options.limit)
    if found["forecast"] is None:
        raise ValueError("nothing was measured: look at the trial's replies")
    tell(found["forecast"])
