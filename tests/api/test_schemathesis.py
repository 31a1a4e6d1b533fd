"""Requests that nobody would think of, made from the description, against the running server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from refinement.services.tokens import make_token
from tests.review_room import make_room

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

# By hand, give it more: SRT_TEST_EXAMPLES=50 SRT_TEST_PHASES=examples,coverage,fuzzing
EXAMPLES = os.environ.get("SRT_TEST_EXAMPLES", "1")  # of each operation
PHASES = os.environ.get("SRT_TEST_PHASES", "examples,fuzzing")
LEFT_OUT = r"/events$"  # a stream that ends with its run


@pytest.mark.timeout(600)
def test_no_request_breaks_the_server_or_its_own_description(
    live_server: LiveServer, valkey_url: str, settings: Any, tmp_path: Path
) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1_000_000
    room = make_room()
    room.fill(2)
    room.owner.is_staff = True
    room.owner.save()
    scopes = ["read", "review", "write", "admin"]
    _, token = make_token(user=room.owner, name="schemathesis", scopes=scopes)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"{live_server.url}/api/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--max-examples", EXAMPLES, "--phases", PHASES),
        *("--exclude-checks", "positive_data_acceptance"),  # a random id is of nothing
        *("--exclude-path-regex", LEFT_OUT),
        *("--generation-deterministic", "--max-failures", "5", "--no-color"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=580
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:]
