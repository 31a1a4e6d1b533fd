"""What the server says to every browser, and what Django's own check says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from django.test import Client, RequestFactory, override_settings

from srt_web.client_address import client_address
from tests.environment import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_no_page_may_run_or_load_anything_that_is_not_ours(db: None) -> None:
    policy = Client().get("/login")["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in policy


def test_an_answer_is_what_it_says_and_tells_no_other_site(db: None) -> None:
    answer = Client().get("/login")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"


def test_the_check_for_servers_finds_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"SRT_HTTPS": "true", "SRT_DATA_DIR": str(tmp_path)}
    environment.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # set while a browser's tests run
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def asked(forwarded: str | None) -> str | None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return client_address(RequestFactory(headers=headers).get("/", REMOTE_ADDR="192.0.2.1"))


def test_the_address_is_what_the_trusted_proxies_saw() -> None:
    with override_settings(TRUSTED_PROXIES=0):
        assert asked("198.51.100.1") == "192.0.2.1"
    with override_settings(TRUSTED_PROXIES=1):
        assert asked("198.51.100.1, 203.0.113.7") == "203.0.113.7"
        assert asked(None) == "192.0.2.1"
        assert asked("<script>") is None
    with override_settings(TRUSTED_PROXIES=2):
        assert asked("198.51.100.1, 203.0.113.7, 10.0.0.1") == "203.0.113.7"
        assert asked("2001:db8::1, 10.0.0.1") == "2001:db8::1"
