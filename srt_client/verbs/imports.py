"""``srt upload``, ``look``, ``import`` and ``stop-import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from srt_client.verbs.saying import pairs_of, tell

if TYPE_CHECKING:
    import argparse

    from srt_client.client import Client
    from srt_client.verbs.saying import Verbs


def add(verbs: Verbs) -> None:
    upload = verbs.add_parser(
        "upload", help="send a file and wait until it is imported; again, it goes on where it stood"
    )
    upload.add_argument("file", type=Path)
    upload.add_argument("--project", type=int, required=True)
    upload.add_argument("--name", default="")
    upload.add_argument("--draft", action="store_true", help="only store it")
    _reading(upload)
    upload.add_argument("--no-wait", action="store_true", help="do not wait for the import")
    upload.add_argument("--id", action="store_true", help="print nothing but the dataset's id")
    upload.set_defaults(do=_upload)
    look = verbs.add_parser("look", help="what a draft holds, and its first records as read")
    look.add_argument("dataset", type=int)
    _shape(look)
    look.set_defaults(do=_look)
    take = verbs.add_parser("import", help="import a draft, or one that failed")
    take.add_argument("dataset", type=int)
    _reading(take)
    take.add_argument("--no-wait", action="store_true", help="do not wait for the import")
    take.add_argument("--id", action="store_true", help="print nothing but the dataset's id")
    take.set_defaults(do=_import)
    stop = verbs.add_parser("stop-import", help="stop an import; the file stays, as a draft")
    stop.add_argument("dataset", type=int)
    stop.set_defaults(do=lambda client, options: tell(client.stop_import(options.dataset)))


def _shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", default="", help="left out: the content tells")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="NAME=FIELD",
        help="which field of the file holds what, such as instruction=prompt",
    )
    parser.add_argument("--turns", choices=["last", "every"], help="answers of a chat")


def _reading(parser: argparse.ArgumentParser) -> None:
    _shape(parser)
    parser.add_argument("--duplicates", choices=["keep", "exact", "near"], help="which are skipped")
    parser.add_argument("--bad", choices=["skip", "refuse"], help="the good rows, or nothing")
    parser.add_argument("--check", action="store_true", help="read all of it, take nothing in")


def _upload(client: Client, options: argparse.Namespace) -> None:
    dataset = client.send(options.project, options.file, name=options.name)
    if options.draft:
        tell(dataset, only_id=options.id)
    else:
        _begin(client, dataset["id"], options)


def _look(client: Client, options: argparse.Namespace) -> None:
    mapping = pairs_of(options.map) if options.map else None
    tell(client.look(options.dataset, format=options.format, mapping=mapping, turns=options.turns))


def _import(client: Client, options: argparse.Namespace) -> None:
    _begin(client, options.dataset, options)


def _begin(client: Client, dataset: int, options: argparse.Namespace) -> None:
    asked: dict[str, Any] = {
        "format": options.format,
        "mapping": pairs_of(options.map),
        "turns": options.turns,
        "duplicates": options.duplicates,
        "bad": options.bad,
        "dry_run": options.check,
    }
    chosen = {name: value for name, value in asked.items() if value}
    found = client.start_import(dataset, **chosen)
    if not options.no_wait:
        found = client.wait_dataset(dataset)
    tell(found, only_id=options.id)
