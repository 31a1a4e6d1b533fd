"""``srt policy`` and ``policies``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srt_client.verbs.saying import pairs_of, tell, tell_lines

if TYPE_CHECKING:
    import argparse

    from srt_client.client import Client
    from srt_client.verbs.saying import Verbs

WORDS = "what differs from the run's own, such as max_ifd=0.9, max_r_ifd=none, name=original"


def add(verbs: Verbs) -> None:
    policy = verbs.add_parser("policy", help="what another policy would keep; with --use, take it")
    policy.add_argument("run", type=int)
    policy.add_argument("words", nargs="*", metavar="NAME=VALUE", help=WORDS)
    policy.add_argument("--use", action="store_true", help="make it the run's own, and wait")
    policy.set_defaults(do=_policy)
    compare = verbs.add_parser("policies", help="all policies under the run's filters, or others")
    compare.add_argument("run", type=int)
    compare.add_argument("words", nargs="*", metavar="NAME=VALUE", help=WORDS)
    compare.set_defaults(do=_policies)


def _policy(client: Client, options: argparse.Namespace) -> None:
    words: dict[str, Any] = dict(pairs_of(options.words))
    if options.use:
        client.use_policy(options.run, **words)
        tell(client.wait_policy(options.run))
    else:
        tell(client.what_if(options.run, **words))


def _policies(client: Client, options: argparse.Namespace) -> None:
    words: dict[str, Any] = dict(pairs_of(options.words))
    tell_lines(client.compare_policies(options.run, **words))
