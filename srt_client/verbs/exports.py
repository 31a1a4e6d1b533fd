"""``srt export`` and ``push``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from srt_client.verbs.review import WHERE
from srt_client.verbs.saying import pairs_of, tell

if TYPE_CHECKING:
    import argparse

    from srt_client.client import Client
    from srt_client.verbs.saying import Verbs


def add(verbs: Verbs) -> None:
    export = verbs.add_parser("export", help="fetch what a run selects")
    export.add_argument("run", type=int)
    export.add_argument("-o", "--output", type=Path, help="a file, or a .zip of all files")
    export.add_argument("--count", action="store_true", help="only say how many rows would leave")
    export.add_argument("--all", action="store_true", help="all pairs, not only the kept ones")
    export.add_argument("--with-scores", action="store_true")
    export.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help=WHERE)
    export.add_argument("--shape", help="as_imported, alpaca, messages, … (docs/exports.md)")
    export.add_argument("--container", help="jsonl, json, csv, parquet, …")
    export.add_argument("--top-percent", type=float, help="only the best part")
    export.add_argument("--validation-percent", type=float, help="into a file of its own")
    export.add_argument("--deduplicate", action="store_true")
    export.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="under another policy: what differs from the run's, such as max_ifd=none",
    )
    export.set_defaults(do=_export)
    push = verbs.add_parser("push", help="push a written export to a Hugging Face repository")
    push.add_argument("export", type=int)
    push.add_argument("repository", help="owner/name")
    push.add_argument("--public", action="store_true", help="where the repository is made now")
    push.add_argument("--token-variable", help="where the workers find the token: a name")
    push.set_defaults(do=_push)


def _options(options: argparse.Namespace) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "include": "all" if options.all else None,
        "columns": ["scores", "verdict", "decision"] if options.with_scores else None,
        "filter": {"show": "all", **pairs_of(options.where)} if options.where else None,
        "shape": options.shape,
        "container": options.container,
        "top_percent": options.top_percent,
        "validation_percent": options.validation_percent,
        "deduplicate": options.deduplicate or None,
        "policy": pairs_of(options.policy) or None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _export(client: Client, options: argparse.Namespace) -> None:
    chosen = _options(options)
    if options.count:
        tell(client.preview_export(options.run, **chosen))
        return
    found = client.wait_export(client.start_export(options.run, **chosen)["id"])
    if options.output is not None:
        name = "all.zip" if options.output.suffix == ".zip" else ""
        client.download(found["id"], options.output, name=name)
    tell(found)


def _push(client: Client, options: argparse.Namespace) -> None:
    chosen: dict[str, Any] = {"private": not options.public}
    if options.token_variable:
        chosen["token_variable"] = options.token_variable
    made = client.push(options.export, options.repository, **chosen)
    tell(client.wait_push(options.export, made["id"]))
