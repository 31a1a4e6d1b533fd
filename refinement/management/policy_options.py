"""A policy as options of a command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinement.method.policies import POLICIES, SIGNALS
from refinement.method.specs import PolicySpec

if TYPE_CHECKING:
    from argparse import _ArgumentGroup

    from django.core.management.base import CommandParser


def limit(text: str) -> float | None:
    """A number, or “none” for no such filter."""
    return None if text == "none" else float(text)


def add_filter_options(group: _ArgumentGroup, *, any_response: str) -> None:
    """The paper's three filters. ``any_response``: what the switch of the third does, for help."""
    group.add_argument("--max-ifd", type=limit, default=1.0, metavar="N|none")
    group.add_argument("--max-r-ifd", type=limit, default=1.0, metavar="N|none")
    group.add_argument("--any-response", action="store_true", help=any_response)


def add_policy_options(parser: CommandParser) -> None:
    group = parser.add_argument_group("policy")
    group.add_argument("--policy", choices=sorted(POLICIES), default="paper")
    add_filter_options(group, any_response="keep pairs whose response rewrite was not taken, too")
    group.add_argument("--seed", type=int, default=0, help="of the policy “random”")
    group.add_argument("--encoder", type=Path, metavar="FOLDER", help="for sentence embeddings")
    group.add_argument("--top-by", choices=sorted(SIGNALS), default="ifd")
    group.add_argument("--top-percent", type=float, metavar="K", help="keep the best K %%")
    group.add_argument("--top-count", type=int, metavar="N", help="keep the best N")
    group.add_argument("--diverse", action="store_true", help="spread those over the subjects")


def filtered_policy(options: dict[str, Any]) -> PolicySpec:
    """The policy and its filters. One that takes no response rewrite is not asked for one."""
    takes = POLICIES[options["policy"]].takes_responses
    return PolicySpec(
        name=options["policy"],
        require_response_accepted=takes and not options["any_response"],
        max_ifd=options["max_ifd"],
        max_r_ifd=options["max_r_ifd"],
    )


def policy_of(options: dict[str, Any]) -> PolicySpec:
    """All that was chosen."""
    has_cut = options["top_percent"] is not None or options["top_count"] is not None
    encoder: Path | None = options["encoder"]
    return replace(
        filtered_policy(options),
        seed=options["seed"],
        encoder=str(encoder.resolve()) if encoder else "",
        top_by=options["top_by"] if has_cut else "",
        top_percent=options["top_percent"],
        top_count=options["top_count"],
        diverse=options["diverse"],
    )
