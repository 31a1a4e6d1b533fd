"""manage.py demo as a newcomer meets it: real services, the real small teacher and student."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from refinement.management.demo_setup import PAIRS
from tests.embedded.running import running, wait_until_gone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.processes, pytest.mark.real_model, pytest.mark.timeout(600)]


def test_it_refines_the_bundled_pairs_exports_them_and_is_quick_the_next_time(
    tmp_path: Path, embedded_model_dir: Path
) -> None:
    with running(tmp_path, "demo", "--exit", "--limit", "1") as demo:
        password = demo.wait_for("Log in as demo with the password ").split()[-1]
        demo.wait_for("Refining 1 pair")
        children = demo.children()
        first = demo.wait_for("The first pair can be reviewed")
        page = re.search(r"http://\S+/runs/\d+/review/\d+", first)
        assert page is not None
        output = demo.rest()
        assert demo.process.wait(15) == 0
        assert wait_until_gone(children, seconds=0.1) == []

    assert len(password) >= 12
    assert re.search(r"^samples +1$", output, re.MULTILINE)
    for row in ("accepted instructions", "accepted responses", "kept", "unscorable", "failed"):
        assert row in output
    exported = (tmp_path / "demo" / "selected.jsonl").read_bytes()
    manifest = json.loads((tmp_path / "demo" / "selected.manifest.json").read_text())
    assert manifest["files"][0]["sha256"] == hashlib.sha256(exported).hexdigest()
    assert manifest["dataset"]["sha256"] == hashlib.sha256(PAIRS.read_bytes()).hexdigest()
    assert manifest["counts"]["total"] == 1
    assert manifest["counts"]["unfinished"] == 0
    assert len(exported.splitlines()) == manifest["counts"]["kept"]

    with running(tmp_path, "demo", "--exit", "--limit", "1") as again:
        output = again.rest()
        assert again.process.wait(5) == 0
    assert "has done this already" in output
    assert "Starting the services" not in output
    assert (tmp_path / "demo" / "selected.jsonl").read_bytes() == exported

    with running(tmp_path, "demo", "--limit", "1") as staying:
        where = staying.wait_for("The dashboard stays up at").split()[-1]
        password = re.search("password (.+) \\(", staying.wait_for("Log in as demo"))[1]  # type: ignore[index]
        assert_login_works(where, password)
        staying.process.send_signal(signal.SIGINT)
        staying.rest()
        assert staying.process.wait(5) == 0


def assert_login_works(where: str, password: str) -> None:
    """The printed login opens the printed page."""
    browser = build_opener(HTTPCookieProcessor())
    with browser.open(where) as form:
        address, html = form.url, form.read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)
    assert token is not None
    fields = {
        "csrfmiddlewaretoken": token[1],
        "username": "demo",
        "password": password,
        "next": urlsplit(where).path,
    }
    with browser.open(address, urlencode(fields).encode()) as page:
        assert page.url == where
        assert "Demonstration" in page.read().decode()
