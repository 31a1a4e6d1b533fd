"""``srt``: the API from the command line.

The server and the token come from SRT_URL and SRT_TOKEN, never from the command itself, where other
people of the machine could read the token.
"""

from __future__ import annotations

import argparse
import os
import sys

from srt_client.client import Client, Problem
from srt_client.verbs import daily, exports, imports, policies, review, trials


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    url, token = os.environ.get("SRT_URL", ""), os.environ.get("SRT_TOKEN", "")
    if not url or not token:
        print("Set SRT_URL to the server's address and SRT_TOKEN to a token.", file=sys.stderr)
        return 2
    try:
        return int(options.do(Client(url, token), options) or 0)
    except (Problem, ValueError) as problem:
        print(f"srt: {problem}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"srt: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srt", description="srt-web from the command line. SRT_URL and SRT_TOKEN say where."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for subject in (imports, trials, daily, review, policies, exports):
        subject.add(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
