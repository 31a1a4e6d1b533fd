"""Uploads a folder as a dataset repository; a program of its own, started by ``pushes.py``.

A process of its own, because the rest of the product runs with the hub's client in offline mode,
which that client reads once, and because an upload that must end can then simply be ended. Reads
one JSON object from stdin, writes one to stdout: ``{"url": …}`` or ``{"error": …}``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

# The error of the HTTP library that this version of the client was built on.
from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]


def upload(
    *, folder: str, repository: str, private: bool, token_variable: str, message: str
) -> str:
    """One commit with all files of ``folder``; returns its address."""
    api = HfApi(token=os.environ[token_variable])
    api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
    operations = [
        CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=path)
        for path in sorted(Path(folder).iterdir())
    ]
    commit = api.create_commit(repository, operations, commit_message=message, repo_type="dataset")
    return str(commit.commit_url)


def sentence(error: Exception, wanted: dict[str, Any]) -> str:
    """What went wrong and what to do."""
    repository, variable = wanted["repository"], wanted["token_variable"]
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code if error.response is not None else 0
        if status == 401:
            return f"The hub does not know the token in {variable}. Make a new one and try again."
        if status in {403, 404}:
            return f"The token in {variable} may not write to {repository}."
        return f"The hub refused the upload: {error.server_message or status}."
    if isinstance(error, HFValidationError):
        return f"“{repository}” is no name of a repository: it is owner/name."
    if isinstance(error, ValueError):  # the client had the card checked before the upload
        return f"The hub refused the upload: {' '.join(str(error).split())}"
    return f"The hub cannot be reached ({type(error).__name__}). Try again later."


def main() -> None:
    wanted = json.load(sys.stdin)
    variable = wanted["token_variable"]
    if not os.environ.get(variable):
        said = f"The variable {variable} is not set where the workers run. Set it and try again."
        sys.stdout.write(json.dumps({"error": said}))
        return
    try:
        answer = {"url": upload(**wanted)}
    except (HfHubHTTPError, HFValidationError, TransportError, OSError, ValueError) as error:
        answer = {"error": sentence(error, wanted)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
